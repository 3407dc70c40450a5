"""OpenTelemetry traces, where an operator wants them: what a question waited for, stage by stage.

Neither OpenTelemetry's SDK nor its exporter is loaded before `set_up_traces`. No span has a text, a
name or a key: of an error it has the class.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from socket import gethostname
from typing import TYPE_CHECKING, Final

from staffroom.errors import ConfigError
from staffroom.monitoring.sharing import INSTANCE

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Tracer

SERVICE: Final = "staffroom"

SEND_SECONDS: Final = 2.0
"""How long a collector that does not answer is waited for, also when a command ends."""

_providers: list["TracerProvider"] = []
_tracers: list["Tracer"] = []
"""The one that spans are made by, or none."""


def set_up_traces(url: str) -> None:
    """From here on spans are sent to that address by OTLP over HTTP.

    To be called in the process that makes the spans: the thread that sends them survives no fork.
    Headers and sampling are those of OpenTelemetry's own variables.
    Raises: ConfigError where the extra `otel` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise not_installed("STAFFROOM_TRACES_URL") from error
    trace_to(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=SEND_SECONDS)))


def trace_to(processor: "SpanProcessor") -> None:
    """From here on spans go to the processor."""
    stop_tracing()
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    provider = TracerProvider(resource=service_resource())
    provider.add_span_processor(processor)
    _providers.append(provider)
    _tracers.append(provider.get_tracer(SERVICE))


def service_resource() -> "Resource":
    """What says of itself, to a collector, that it is this server, unless its operator says
    otherwise in OpenTelemetry's variables. The processes of one server are one instance."""
    from opentelemetry.sdk.resources import (  # noqa: PLC0415
        SERVICE_INSTANCE_ID,
        SERVICE_NAME,
        SERVICE_VERSION,
        OTELResourceDetector,
        Resource,
    )

    own = {
        SERVICE_NAME: SERVICE,
        SERVICE_VERSION: version(SERVICE),
        SERVICE_INSTANCE_ID: f"{gethostname()}:{INSTANCE}",
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())


def not_installed(setting: str) -> ConfigError:
    """The error of a setting that needs the extra `otel`."""
    return ConfigError(
        f"{setting} is set, but OpenTelemetry is not installed. Run "
        "pip install 'staffroom[otel]', or unset it."
    )


def stop_tracing() -> None:
    """What was traced is sent, as far as it can be, and no spans are made any more."""
    _tracers.clear()
    while _providers:
        _providers.pop().shutdown()


@contextmanager
def request_span(method: str, headers: Mapping[str, str]) -> Iterator["Span | None"]:
    """What happens inside serves a request, as a part of the caller's trace if it names one."""
    if not _tracers:
        yield None
        return
    from opentelemetry.trace import SpanKind, use_span  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    caller = TraceContextTextMapPropagator().extract(headers)
    span = _tracers[0].start_span(
        method, caller, SpanKind.SERVER, attributes={"http.request.method": method}
    )
    with _ended(span), use_span(span, record_exception=False, set_status_on_exception=False):
        yield span


@contextmanager
def stage_span(name: str, **attributes: str) -> Iterator[None]:
    """What happens inside is a stage of what surrounds it. Dots of attributes are written `__`.

    The span is not made the current one, so that a generator may wait inside for its reader.
    """
    if not _tracers:
        yield
        return
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    span = _tracers[0].start_span(name, attributes=named)
    with _ended(span):
        yield


def trace_headers() -> dict[str, str]:
    """What a request to another server carries, so that its spans belong to the same trace."""
    headers: dict[str, str] = {}
    if _tracers:
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        TraceContextTextMapPropagator().inject(headers)
    return headers


def trace_id() -> str:
    """Of the trace that the current request belongs to, if it is traced."""
    if not _tracers:
        return ""
    from opentelemetry.trace import format_trace_id, get_current_span  # noqa: PLC0415

    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else ""


@contextmanager
def _ended(span: "Span") -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        _mark(span, error)
        raise
    finally:
        span.end()


def _mark(span: "Span", error: BaseException) -> None:
    """The span failed, unless its reader only went away."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    if isinstance(error, Exception):
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)
