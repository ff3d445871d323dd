"""One configured registry as publishing sees it: its name, its place and its rules."""

from dataclasses import dataclass, field, replace
from typing import Self

from meshbridge.publish.rules import PublishRules, check_domain, check_namespace


@dataclass(frozen=True, slots=True)
class Registry:
    """One configured registry, as publishing sees it.

    Raises ValueError when the namespace is left to a name that cannot be one.
    """

    name: str
    order: int
    """Its place in the configuration: the lowest has a host that several claim."""
    rules: PublishRules = field(default_factory=PublishRules)
    names: bool = False
    """Whether instances are published whose address is a DNS name: an outlet has use for them."""

    def __post_init__(self) -> None:
        """Check the namespace that the name stands in for."""
        try:
            check_namespace(self.namespace)
        except ValueError as error:
            message = (
                f"the registry's name is its namespace unless publish.namespace says so: {error}"
            )
            raise ValueError(message) from None

    @property
    def domain(self) -> str:
        """The domain under which its hosts stand."""
        return self.rules.domain or self.name

    @property
    def namespace(self) -> str:
        """The Istio namespace of its resources."""
        return self.rules.namespace or self.name

    def with_domain(self, domain: str) -> Self:
        """Return the registry with this domain, unless its rules name one.

        Raises ValueError if it cannot be a domain.
        """
        if self.rules.domain:
            return self
        rules = self.rules.model_copy(update={"domain": check_domain(domain)})
        return replace(self, rules=rules)
