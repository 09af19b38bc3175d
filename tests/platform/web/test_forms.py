from assay.web.forms import Form
from assay_tenants.errors import BadInput

NEEDED = {"email": "Fill in your e-mail address.", "password": "Fill in your password."}


def test_all_empty_fields_are_named_at_once() -> None:
    form = Form.read({"email": "  "}, needed=NEEDED)
    assert form.errors == NEEDED


def test_a_password_keeps_its_spaces() -> None:
    form = Form.read(
        {"email": " ada@example.test ", "password": " open sesame "}, needed=NEEDED, unstripped={"password"}
    )
    assert (form["email"], form["password"], form.errors) == ("ada@example.test", " open sesame ", {})


def test_a_refusal_stands_beside_its_field() -> None:
    form = Form()
    form.refuse(BadInput("is no address", field="email"))
    form.refuse(BadInput("something else"))
    assert form.errors == {"email": "is no address", "": "something else"}
