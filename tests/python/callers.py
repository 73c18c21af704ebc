"""Callers of the platform over native gRPC, with stubs that protoc made."""

import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from mcp.context.v1 import context_pb2, context_pb2_grpc
from mcp.summarization.v1 import summarization_pb2, summarization_pb2_grpc

CALL_SECONDS_MAX = 30


class Caller:
    """Somebody with a channel and perhaps a token."""

    def __init__(self, channel: grpc.Channel, token: str | None = None, tenant: str | None = None) -> None:
        self.metadata = []
        if token is not None:
            self.metadata.append(("authorization", f"Bearer {token}"))
        if tenant is not None:
            self.metadata.append(("x-tenant-id", tenant))
        self.contexts = context_pb2_grpc.ContextServiceStub(channel)
        self.summarization = summarization_pb2_grpc.SummarizationServiceStub(channel)

    def call(self, method, request):
        return method(request, metadata=self.metadata, timeout=CALL_SECONDS_MAX)

    def stores(self, text: str, title: str = "a document") -> str:
        """Stores a text as a context with one message; its name."""
        context = self.call(
            self.contexts.CreateContext,
            context_pb2.CreateContextRequest(
                context=context_pb2.Context(type="text", title=title), request_id=str(uuid.uuid4())
            ),
        )
        self.call(
            self.contexts.AppendMessages,
            context_pb2.AppendMessagesRequest(
                parent=context.name,
                messages=[context_pb2.Message(role=context_pb2.ROLE_USER, text=text)],
                request_id=str(uuid.uuid4()),
            ),
        )
        return context.name

    def gets(self, name: str) -> context_pb2.Context:
        return self.call(self.contexts.GetContext, context_pb2.GetContextRequest(name=name))

    def reads(self, name: str) -> str:
        """The texts of a context, joined."""
        texts, token = [], ""
        while True:
            page = self.call(
                self.contexts.ListMessages,
                context_pb2.ListMessagesRequest(parent=name, page_token=token),
            )
            texts += [message.text for message in page.messages]
            token = page.next_page_token
            if not token:
                return "".join(texts)

    def summarises(self, text: str, max_words: int = 120) -> summarization_pb2.SummarizeResponse:
        return self.call(
            self.summarization.Summarize,
            summarization_pb2.SummarizeRequest(
                text=text, length=summarization_pb2.Length(max_words=max_words)
            ),
        )

    def streams(self, text: str, max_words: int = 120) -> list[summarization_pb2.SummarizeStreamResponse]:
        return list(
            self.call(
                self.summarization.SummarizeStream,
                summarization_pb2.SummarizeStreamRequest(
                    text=text, length=summarization_pb2.Length(max_words=max_words)
                ),
            )
        )


def refusal(call) -> tuple[grpc.StatusCode, str, str]:
    """The code, the words and the reason of a call that must be refused."""
    try:
        call()
    except grpc.RpcError as refused:
        return refused.code(), refused.details(), reason(refused)
    raise AssertionError("the call was let in")


def reason(refused: grpc.RpcError) -> str:
    """The reason within google.rpc.ErrorInfo."""
    status = rpc_status.from_call(refused)
    for detail in status.details if status is not None else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            assert info.domain == "mcp"
            return info.reason
    return ""
