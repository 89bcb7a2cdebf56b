"""What goes wrong around a request to a language model. A message never holds a key, and never the text of a row.

The tree, below that of ``teachkit.errors``::

    UsageError   LlmSetupError   exit 2: endpoint, key, prices, recording or request cannot be used
                 ReplayMiss      exit 4: ``replay`` lacks a recording
    RunError     ProviderError   exit 1: the provider refuses all requests, not one

What happens to one request is a status of its answer (``teachkit.llm.outcome``) and raises nothing.
"""

from __future__ import annotations

from teachkit.errors import RunError, UsageError


class LlmSetupError(UsageError):
    """Requests cannot be sent as things are set up; none was."""


class BadMode(LlmSetupError):
    """Something that this way of asking needs is not there."""

    slug = "llm-bad-mode"
    what = "cannot ask: {problem}"
    instead = "{advice}"


class BadEndpoint(LlmSetupError):
    """A ``base_url`` cannot be used."""

    slug = "llm-bad-endpoint"
    what = "base_url '{url}' cannot be used: {problem}"
    instead = "write it as https://HOST/PATH, for example https://api.openai.com/v1"


class HostNotAllowed(LlmSetupError):
    """Row text or a key would go to a host that nobody allowed outside the project."""

    slug = "llm-host-not-allowed"
    what = "requests may not go to {host}"
    instead = (
        "if you trust this host, allow it where the project's files cannot: "
        "set the environment variable TEACHKIT_LLM_HOSTS={host}"
    )


class HostUnsafe(LlmSetupError):
    """The way to a host is not safe."""

    slug = "llm-host-unsafe"
    what = "requests to {host} would not be safe: {problem}"
    instead = "{advice}"


class KeyMissing(LlmSetupError):
    """The environment variable that should hold an API key does not."""

    slug = "llm-key-missing"
    what = "the environment variable {name} is not set; it should hold the key for {host}"
    instead = "set it before you run teachkit: export {name}=..."


class KeyUnusable(LlmSetupError):
    """The value of a key variable cannot be a key."""

    slug = "llm-key-unusable"
    what = "the environment variable {name} holds something that cannot be a key: {problem}"
    instead = "copy the key again: one word of printable ASCII, at least 8 characters"


class KeyBoundElsewhere(LlmSetupError):
    """The key of one provider would go to another one."""

    slug = "llm-key-bound-elsewhere"
    what = "the value of {name} would go to {host}, which takes keys from variables that start with {prefixes}"
    instead = "name the variable of that provider in 'api_key_env', or allow the host: TEACHKIT_LLM_HOSTS={host}"


class KeyInRequest(LlmSetupError):
    """A request's text holds an API key."""

    slug = "llm-key-in-request"
    what = "the request {label} holds the value of {name} in its text; it was not sent"
    instead = "take the key out of the prompt or the data: requests are stored and recorded"


class FastMissing(LlmSetupError):
    """The fast transport was asked for without its package."""

    slug = "llm-fast-missing"
    what = "the fast transport needs aiohttp, which is not installed"
    instead = "run pip install 'teachkit[fast]', or use the default transport"


class ModelMissing(LlmSetupError):
    """Neither the profile nor the provider says which model to ask."""

    slug = "llm-model-missing"
    what = "provider '{provider}' names no model, and {host} lists none"
    instead = "write 'model: ...' at the provider in profiles.yml"


class BadRequestBody(LlmSetupError):
    """A request cannot be put on the wire as it is."""

    slug = "llm-bad-request"
    what = "the request {label} cannot be sent: {problem}"
    instead = "{advice}"


class BadSchema(LlmSetupError):
    """An output schema asks for what is not checked here."""

    slug = "llm-bad-schema"
    what = "the output schema cannot be checked: {problem}"
    instead = "{advice}"


class BadPrices(LlmSetupError):
    """A price table cannot be read."""

    slug = "llm-bad-prices"
    what = "the price table cannot be used: {problem}"
    instead = "{advice}"


class UnknownPrice(LlmSetupError):
    """A model has no price, so nobody would know what a run costs."""

    slug = "llm-unknown-price"
    what = "the price table of {as_of} has no model '{model}'"
    instead = "add its price, or allow requests without one. Known: {known}.{hint}"


class UnboundedRequest(LlmSetupError):
    """A budget needs to know the most that a request can cost."""

    slug = "llm-unbounded-request"
    what = "the request {label} names no limit of output tokens, so its cost has no bound and a budget cannot hold"
    instead = "set {ways}'max_output' for model '{model}' in the price table"


class BadRecording(LlmSetupError):
    """A file of recordings cannot be read."""

    slug = "llm-bad-recording"
    what = "{path}:{line}: not a recording: {problem}"
    instead = "{advice}"


class ReplayMiss(UsageError):
    """``replay`` was asked for a request that nobody recorded."""

    slug = "llm-replay-miss"
    exit_code = 4
    what = "no recording for the request {label} in {path}\n{difference}"
    instead = (
        "record it where a provider is at hand (mode 'record') and commit the file, or undo what changed the request"
    )


class ProviderError(RunError):
    """The provider refuses every request, not just one. What was answered before is kept."""


class AuthRefused(ProviderError):
    """The key is wrong, or may not do this."""

    slug = "llm-auth-refused"
    what = "{host} refuses the key from {name} (HTTP {status}): {said}"
    instead = "check the key and what it may do; requests that were answered are kept and not asked again"


class QuotaSpent(ProviderError):
    """The account has no money or no quota left."""

    slug = "llm-quota-spent"
    what = "{host} says that the account has no quota left: {said}"
    instead = "top it up and build again: requests that were answered are kept and not asked again"


class ModelUnknown(ProviderError):
    """The provider does not have the model, or not at this address."""

    slug = "llm-model-unknown"
    what = "{host} does not know model '{model}' (HTTP {status}): {said}"
    instead = "check 'model' and 'base_url'; the provider lists its models"


class RedirectRefused(ProviderError):
    """The provider answers with a redirect, which is never followed."""

    slug = "llm-redirect-refused"
    what = "{host} answers with a redirect (HTTP {status}); keys and row text do not follow redirects"
    instead = "write the final address as base_url"


class Unreachable(ProviderError):
    """No reply comes from the provider."""

    slug = "llm-unreachable"
    what = "{host} does not answer: {reason}"
    instead = "check 'base_url', the network, and that the server runs"


class AllRefused(ProviderError):
    """Request after request is refused as invalid."""

    slug = "llm-all-refused"
    what = "{host} refused {count} requests in a row and answered none (HTTP {status}): {said}"
    instead = "correct the parameters of the request and build again"


class Outage(ProviderError):
    """Request after request fails on the way."""

    slug = "llm-outage"
    what = "{host} failed on {count} requests in a row, each tried {tries} times: {said}"
    instead = "wait and build again: requests that were answered are kept and not asked again"


class BadBatchState(LlmSetupError):
    """What was written about a batch cannot be read, so nobody knows what was bought."""

    slug = "llm-bad-batch-state"
    what = "{path} cannot be used: {problem}"
    instead = (
        "put it back from a copy of the store. If its batch does not matter any more, remove the files that share "
        "its name: the answers that are still out are then lost, and asked again"
    )


class BatchTooDear(LlmSetupError):
    """What would be submitted may cost more than is allowed."""

    slug = "llm-batch-too-dear"
    what = "the {count} requests {of} may cost up to {worst} USD, more than the {limit} USD {allowed}"
    instead = "{advice}"


class BatchProviderGone(LlmSetupError):
    """No provider of the target has the address that a batch was sent to."""

    slug = "llm-batch-provider-gone"
    what = "batch {batch} is at {endpoint}, and target '{target}' has no provider with this address"
    instead = "name a provider with 'base_url: {endpoint}' in profiles.yml, or another target (--target)"


class NoBatches(ProviderError):
    """The provider takes no batches at this address."""

    slug = "llm-no-batches"
    what = "{host} takes no batches: HTTP {status} for {path}"
    instead = "check 'base_url'; with a provider that has no batch API, build in mode 'live'"


class BatchRefused(ProviderError):
    """The provider refuses a file, a batch or another call, and not for lack of money, rights or speed."""

    slug = "llm-batch-refused"
    what = "{host} refuses {what_for} (HTTP {status}): {said}"
    instead = "correct what it says, then run the command again: nothing is bought twice"


class BatchOutage(ProviderError):
    """The provider fails on one call after another."""

    slug = "llm-batch-outage"
    what = "{host} failed {tries} times on {path}: {said}"
    instead = "wait, then run the command again: what was bought is known, and nothing is bought twice"


class BatchUnclear(ProviderError):
    """A batch was asked for, and the provider neither took nor refused it."""

    slug = "llm-batch-unclear"
    what = "it is not known whether {host} took batch {batch}: {said}"
    instead = "run 'teachkit llm batch status' later: it looks whether the batch is there. Nothing is bought twice"


class BatchMissing(ProviderError):
    """The provider does not know a batch that was sent to it, at least not with this key."""

    slug = "llm-batch-missing"
    what = "{host} does not know batch {batch}"
    instead = (
        "a key of another project does not see it: check 'api_key_env'. If it is gone for good, "
        "'teachkit llm batch cancel --forget {batch}' drops it here, and its requests can be asked anew"
    )
