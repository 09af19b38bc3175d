"""What each command does first: settings, then logging in its process's name."""

from assay import logs
from assay.embedded import completed
from assay.settings import BadSetting, Settings


def enter(process: str) -> Settings:
    settings = completed(Settings.from_environ())
    logs.configure(settings.log_level, process=process)
    return settings


def enter_with_key(process: str) -> Settings:
    settings = enter(process)
    if not settings.secret_key:
        raise BadSetting("secret_key", "is not set, and there is no data folder to keep one in", "32 random characters")
    return settings
