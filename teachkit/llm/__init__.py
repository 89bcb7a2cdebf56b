"""Requests to language models: asked once, priced, kept, replayed, never lost. Knows no project, no row, no task."""

from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names

if TYPE_CHECKING:
    from teachkit.llm.apis import parse_reply
    from teachkit.llm.asking import MODES, Asking, Mode, ask
    from teachkit.llm.capabilities import Capabilities, capabilities_of
    from teachkit.llm.chat import StructuredOutput, chat_body, parse_chat
    from teachkit.llm.confidence import LabelScores, label_scores, repeat_scores
    from teachkit.llm.decisions import ChoiceQuestion, decision_body
    from teachkit.llm.embeddings import embedding_body
    from teachkit.llm.money import Budget, Price, Prices, TokenEstimate, microdollars
    from teachkit.llm.outcome import STATUSES, Answer, Decision, Status, Summary, Validate, decide
    from teachkit.llm.pool import Policy
    from teachkit.llm.probe import Finding, Probe, Probed
    from teachkit.llm.provider import Provider
    from teachkit.llm.recordings import KeptAnswers, Recording
    from teachkit.llm.replies import ModelReply, TokenChoice, Usage
    from teachkit.llm.request import Endpoint, Request, request_key
    from teachkit.llm.responses import Recovery, Response, ResponseStore
    from teachkit.llm.safety import check_way
    from teachkit.llm.schema import ABSTAIN, check_schema, label_schema
    from teachkit.llm.transport import FastTransport, NoReply, OpenAITransport, Reply, Transport, make_transport

__all__ = [
    "ABSTAIN",
    "MODES",
    "STATUSES",
    "Answer",
    "Asking",
    "Budget",
    "Capabilities",
    "ChoiceQuestion",
    "Decision",
    "Endpoint",
    "FastTransport",
    "Finding",
    "KeptAnswers",
    "LabelScores",
    "Mode",
    "ModelReply",
    "NoReply",
    "OpenAITransport",
    "Policy",
    "Price",
    "Prices",
    "Probe",
    "Probed",
    "Provider",
    "Recording",
    "Recovery",
    "Reply",
    "Request",
    "Response",
    "ResponseStore",
    "Status",
    "StructuredOutput",
    "Summary",
    "TokenChoice",
    "TokenEstimate",
    "Transport",
    "Usage",
    "Validate",
    "ask",
    "capabilities_of",
    "chat_body",
    "check_schema",
    "check_way",
    "decide",
    "decision_body",
    "embedding_body",
    "label_schema",
    "label_scores",
    "make_transport",
    "microdollars",
    "parse_chat",
    "parse_reply",
    "repeat_scores",
    "request_key",
]
__getattr__ = lazy_names(
    __name__,
    {
        "asking": ("MODES", "Asking", "Mode", "ask"),
        "apis": ("parse_reply",),
        "capabilities": ("Capabilities", "capabilities_of"),
        "chat": ("StructuredOutput", "chat_body", "parse_chat"),
        "confidence": ("LabelScores", "label_scores", "repeat_scores"),
        "decisions": ("ChoiceQuestion", "decision_body"),
        "embeddings": ("embedding_body",),
        "money": ("Budget", "Price", "Prices", "TokenEstimate", "microdollars"),
        "outcome": ("STATUSES", "Answer", "Decision", "Status", "Summary", "Validate", "decide"),
        "pool": ("Policy",),
        "probe": ("Finding", "Probe", "Probed"),
        "provider": ("Provider",),
        "recordings": ("KeptAnswers", "Recording"),
        "replies": ("ModelReply", "TokenChoice", "Usage"),
        "request": ("Endpoint", "Request", "request_key"),
        "responses": ("Recovery", "Response", "ResponseStore"),
        "safety": ("check_way",),
        "schema": ("ABSTAIN", "check_schema", "label_schema"),
        "transport": ("FastTransport", "NoReply", "OpenAITransport", "Reply", "Transport", "make_transport"),
    },
)
