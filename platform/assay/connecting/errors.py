"""Why somebody could not connect; each text is a sentence for them.

ConnectError
+ ReturnUnknown     whoever came back from a vendor began nothing that could be finished
+ NotSetUp          the installation lacks settings of the vendor's app
+ VendorRefused     the vendor, or the person there, said no
+ VendorAway        the vendor could not be asked: trying again may help
+ OtherAccount      it is not the account of the connection that was to be connected again
"""

from collections.abc import Mapping

from assay_tenants.errors import AssayError, BadInput


class ConnectError(AssayError):
    status = 422
    code = "not_connected"


class ReturnUnknown(ConnectError):
    status = 410
    code = "return_unknown"


class NotSetUp(ConnectError):
    status = 409
    code = "service_not_set_up"

    def __init__(self, title: str) -> None:
        super().__init__(
            f"{title} can't be connected yet: whoever runs this installation has to register an app there first, and "
            "to name it in the settings."
        )


class VendorRefused(ConnectError):
    code = "vendor_refused"


class VendorAway(ConnectError):
    status = 503
    code = "vendor_away"


class OtherAccount(ConnectError):
    status = 409
    code = "other_account"

    def __init__(self, title: str, wanted: str, got: str) -> None:
        super().__init__(
            f"You were logged in at {title} to another account: this connection is {wanted}, and you allowed {got}. "
            f"Nothing was changed. Log in at {title} to the right account and connect again; or connect {got} as a "
            "connection of its own."
        )


class BadForm(BadInput):
    """What was filled in is wrong, by field; what belongs to no field stands under the empty name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        first = next(iter(self.errors))
        super().__init__(self.errors[first], field=first or None)
