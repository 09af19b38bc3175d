"""What can be wrong with a wish about a person's data."""

from assay_tenants.errors import Conflict, NotFound


class NotConfirmed(Conflict):
    code = "not_confirmed"

    def __init__(self) -> None:
        super().__init__(
            "Nothing was erased: it can't be taken back, so it has to be confirmed. Look at what would go, and send it "
            "again with confirm set to true."
        )


class ErasedAlready(Conflict):
    code = "erased_already"

    def __init__(self, erasure_id: int) -> None:
        self.erasure_id = erasure_id
        super().__init__(f"This person is erased already, or being erased: see erasure {erasure_id}.")


class NoSuchErasure(NotFound):
    def __init__(self) -> None:
        super().__init__("erasure")


class StillRunning(Conflict):
    code = "still_running"

    def __init__(self) -> None:
        super().__init__("The erasure is still under way; look at it again when it is done.")
