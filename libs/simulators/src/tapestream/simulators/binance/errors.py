"""Errors of the REST side, in Binance's own codes and words.

ApiError
├── InvalidSymbolError        -1121
├── InvalidIntervalError      -1120
├── MissingParameterError     -1102
├── IllegalParameterError     -1100, -1130
├── BadCombinationError       -1128
├── BadDepthLimitError        -4021 (USD-M)
├── KeyFormatInvalidError     -2014 (401)
├── KeyRejectedError          -2015 (401)
├── TooManyRequestsError      -1003 (429)
└── NotServedError            -1000 (404), -1016 (503)
"""

from __future__ import annotations

from tapestream.common.errors import TapestreamError


class ApiError(TapestreamError):
    """An answer other than 200."""

    status = 400

    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class InvalidSymbolError(ApiError):
    def __init__(self) -> None:
        super().__init__(-1121, "Invalid symbol.")


class InvalidIntervalError(ApiError):
    def __init__(self) -> None:
        super().__init__(-1120, "Invalid interval.")


class MissingParameterError(ApiError):
    def __init__(self, name: str) -> None:
        super().__init__(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


class IllegalParameterError(ApiError):
    def __init__(self, name: str, pattern: str | None = None) -> None:
        if pattern:
            super().__init__(
                -1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."
            )
        else:
            super().__init__(-1130, f"Data sent for parameter '{name}' is not valid.")


class BadCombinationError(ApiError):
    def __init__(self) -> None:
        super().__init__(-1128, "Combination of optional parameters invalid.")


class BadDepthLimitError(ApiError):
    def __init__(self, limit: int) -> None:
        super().__init__(-4021, f"'{limit}' is not valid depth limit.")


class KeyFormatInvalidError(ApiError):
    status = 401

    def __init__(self) -> None:
        super().__init__(-2014, "API-key format invalid.")


class KeyRejectedError(ApiError):
    status = 401

    def __init__(self) -> None:
        super().__init__(-2015, "Invalid API-key, IP, or permissions for action.")


class TooManyRequestsError(ApiError):
    status = 429

    def __init__(self, limit: int, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(
            -1003,
            f"Too many requests; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
        )


class NotServedError(ApiError):
    def __init__(self, status: int, code: int, message: str) -> None:
        self.status = status
        super().__init__(code, message)
