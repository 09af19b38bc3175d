from assay_sdk import Identify
def test_smoke(service, simulator, link):
    from conftest import loaded
    simulator.fill(130)
    for s in ("companies","contacts","leads","deals","activities"):
        found, cursor = loaded(service, link, s)
        print(s, len(found), cursor)
        print(found[:3])
