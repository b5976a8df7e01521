"""Errors of the common library.

TapestreamError
├── SettingsError     a setting is wrong; the message names it and what is allowed
├── PortTakenError    a port is in use; the message names the setting that moves it
├── DataFolderError   the data folder cannot be used
├── ProvisionError    streams do not fit the store
└── NotConnectedError a server was asked for before it was reached
"""

from __future__ import annotations


class TapestreamError(Exception):
    """Base of all errors raised by Tapestream."""


class SettingsError(TapestreamError):
    """A setting is wrong. The text names the variable, its value and what is allowed."""


class PortTakenError(TapestreamError):
    def __init__(self, host: str, port: int, setting: str, purpose: str) -> None:
        self.host, self.port, self.setting = host, port, setting
        super().__init__(
            f"{purpose}: port {port} on {host} is taken; set {setting} to a free one "
            f"(for example {setting}={port + 1} make run)"
        )


class DataFolderError(TapestreamError):
    def __init__(self, path: object, why: str) -> None:
        super().__init__(f"data folder {path}: {why}; set DATA_DIR to another folder")


class ProvisionError(TapestreamError):
    """Streams cannot be set up as planned."""


class NotConnectedError(TapestreamError):
    """A server was asked for before it was reached."""
