"""Profiles: named records of what somebody else's loss and accuracy count, with their source.

A number can be compared with a service's or a trainer's only if both count the same tokens and
pool them in the same way. A profile says so in one word; a report says which profile it was
counted by, and by what the tokens were selected: where the data have roles (see `Profile`) by
role, else by the leading and trailing tokens around a mask.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from logitmeter.arguments import OnShort, counting_settings, vocab_bytes
from logitmeter.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Accuracy",
    "Pooling",
    "Profile",
    "ProfileLike",
    "builtin",
    "counting_of",
    "get",
    "needs",
]

Pooling = Literal["tokens", "sequences", "batches", "samples"]
Accuracy = Literal["tokens", "sequences"]

LAYOUT = ("ignore_index", "shift", "valid_vocab", "vocab_mask")
"""Options that say how the data lie, whoever counts; the others are the profile's own."""


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """A named way to count.

    Attributes
    ----------
    name
        Its name.
    leading, trailing, on_short
        Hidden tokens before and after each reply, as in `evaluate`, where there are no roles.
    hidden
        Whether hidden tokens count where there are roles.
    pooling
        What loss and accuracy are means of. With S and n the sums of w * nll (of w * correct) and
        of w over the tokens of a sequence or batch::

            "tokens"     sum(S) / sum(n)
            "sequences"  mean of S / n over sequences
            "batches"    mean of S / n over batches (stretches of equal `batch_id`)
            "samples"    the same, each batch weighing as many as it has sequences

        Sequences and batches in which nothing counts are left out.
    accuracy
        ``"tokens"``, or ``"sequences"``: the share of sequences whose every token is right.
    ignore_index, shift, valid_vocab, vocab_mask
        As in `evaluate`: how the data lie.
    source
        Who counts so, and how that is known.

    See Also
    --------
    get : the built-in ones.

    Examples
    --------
    >>> import logitmeter as lm
    >>> mine = lm.Profile("mine", trailing=3, source="our own trainer")
    >>> print(mine)
    mine: 3 trailing hidden tokens a reply (hidden ones, where there are roles); means over tokens
      source: our own trainer
    """

    name: str
    _: KW_ONLY
    leading: int = 0
    trailing: int = 0
    on_short: OnShort = "raise"
    hidden: bool = True
    pooling: Pooling = "tokens"
    accuracy: Accuracy = "tokens"
    ignore_index: int = -100
    shift: bool = False
    valid_vocab: int | None = None
    vocab_mask: Any = None
    source: str = ""

    def __post_init__(self) -> None:
        """Check the options at once, not when they are used."""
        for name in ("name", "source"):
            if not isinstance(getattr(self, name), str):
                got = repr(getattr(self, name))
                message = f"{name}={got}: a string is needed"
                raise SettingsError(message, expected="a string", got=got)
        object.__setattr__(self, "vocab_mask", vocab_bytes(self.vocab_mask, None))
        counting_settings(None, **self.options())

    def options(self) -> dict[str, Any]:
        """Give the counting options, as `arguments.counting_settings` takes them."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        name, source = found.pop("name"), found.pop("source")
        return {**found, "profile": (name, source)}

    def replace(self, **changes: Any) -> Profile:
        """Give the same with other options.

        What is counted otherwise gets another name, unless one is given: ``openai`` with two
        trailing tokens is no longer how OpenAI counts. Options that say how the data lie
        (`ignore_index`, `shift`, `valid_vocab`, `vocab_mask`) leave the name alone.

        Parameters
        ----------
        changes
            Attributes of a profile.

        Raises
        ------
        SettingsError
            An option that profiles do not have, or a value that it cannot have.

        Examples
        --------
        >>> import logitmeter as lm
        >>> profile = lm.profiles.get("openai")
        >>> profile.replace(shift=True).name, profile.replace(trailing=2).name
        ('openai', 'openai with trailing=2')
        """
        known = [field.name for field in fields(self)]
        unknown = [name for name in changes if name not in known]
        if unknown:
            raise SettingsError(
                f"a profile has no option {unknown[0]!r}; it has: {', '.join(known)}",
                expected=", ".join(known),
                got=unknown[0],
            )
        own = {name: changes[name] for name in changes if name not in {*LAYOUT, "name", "source"}}
        if own and "name" not in changes:
            changes["name"] = f"{self.name} with {_spelt(own)}"
        return replace(self, **changes)

    def alone(self, beside: Mapping[str, Any]) -> None:
        """Refuse counting options given beside a profile, which says all of them."""
        if beside:
            options = _spelt(beside)
            raise SettingsError(
                f"profile {self.name!r} says what counts, and {options} is given beside it: pass "
                f"profile.replace({options}), where profile is "
                f"logitmeter.profiles.get({self.name!r}) or your own",
                expected="a profile alone",
                got=options,
            )

    def __repr__(self) -> str:
        shown = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if field.name not in {"name", "vocab_mask"}
            and getattr(self, field.name) != field.default
        ]
        masked = [] if self.vocab_mask is None else ["vocab_mask=..."]
        return f"Profile({', '.join([repr(self.name), *shown, *masked])})"

    def __str__(self) -> str:
        """Say in words what counts, and on whose word."""
        layout = [f"{name}={getattr(self, name)!r}" for name in LAYOUT[:3] if self._differs(name)]
        parts = [self._tokens(), self._means(), *layout]
        source = f"\n  source: {self.source}" if self.source else ""
        return f"{self.name}: {'; '.join(parts)}{source}"

    def _differs(self, name: str) -> bool:
        return bool(getattr(self, name) != getattr(Profile(""), name))

    def _tokens(self) -> str:
        sides = [
            f"{count} {side}"
            for side, count in (("leading", self.leading), ("trailing", self.trailing))
            if count
        ]
        if not sides:
            roles = "hidden ones too, where there are roles" if self.hidden else "the visible reply"
            return f"no hidden tokens ({roles})" if self.hidden else roles
        plural = "" if (self.leading, self.trailing) in {(1, 0), (0, 1)} else "s"
        roles = "hidden" if self.hidden else "no hidden"
        claim = f"{' and '.join(sides)} hidden token{plural} a reply"
        return f"{claim} ({roles} ones, where there are roles)"

    def _means(self) -> str:
        pooling = {
            "tokens": "means over tokens",
            "sequences": "means of per-sequence means",
            "batches": "means of per-batch means",
            "samples": "means of per-batch means, weighted by sequences",
        }[self.pooling]
        if self.accuracy == "tokens":
            return pooling
        return f"{pooling}; accuracy is the share of sequences that are right as a whole"


ProfileLike: TypeAlias = str | Profile

_POST = (
    'jorio and Chua, "OpenAI finetuning metrics: What is going on with the loss curves?" '
    "(lesswrong.com/posts/zDnA4SEbkeCj2CDHp)"
)
_BUILTIN = (
    Profile(
        "openai",
        leading=1,
        trailing=1,
        source=f"{_POST}: two tokens beyond the visible reply count, pooled over tokens; one "
        "before a plain reply (<|im_sep|>) and one behind it (<|im_end|>) fit every step of a "
        "public run",
    ),
    Profile(
        "openai-post",
        trailing=2,
        source=f"{_POST}, as it words it: two special tokens at the end",
    ),
    Profile("visible", hidden=False, source="the visible reply alone, without special tokens"),
    Profile(
        "azure",
        hidden=False,
        accuracy="sequences",
        source='Azure OpenAI, "Customize a model with fine-tuning", columns training_accuracy and '
        "training_sequence_accuracy: completions whose predicted tokens match exactly (2 of 3 for "
        "[[1, 2], [0, 5], [4, 2]] predicted as [[1, 1], [0, 5], [4, 2]]); whether special tokens "
        "belong to a completion is not said",
    ),
    Profile(
        "sequence-mean",
        hidden=False,
        pooling="sequences",
        source="the mean of per-sequence means, as LLaMA-Factory's evaluation pools accuracies",
    ),
    Profile(
        "hf",
        hidden=False,
        pooling="samples",
        source="transformers, Trainer.evaluation_loop: each batch's token mean, repeated for each "
        "of its samples, then averaged (a batch without a counted token is nan there)",
    ),
    Profile(
        "trl",
        hidden=False,
        pooling="batches",
        source="TRL, SFTTrainer: mean_token_accuracy and loss are logged as means of step ratios "
        "(a step without a counted token has accuracy 0 there)",
    ),
)


def builtin() -> dict[str, Profile]:
    """Give the built-in profiles by their names.

    Examples
    --------
    >>> import logitmeter as lm
    >>> list(lm.profiles.builtin())
    ['openai', 'openai-post', 'visible', 'azure', 'sequence-mean', 'hf', 'trl']
    """
    return {profile.name: profile for profile in _BUILTIN}


def get(profile: ProfileLike) -> Profile:
    """Give a profile by its name, or the one that is given.

    Raises
    ------
    SettingsError
        A name that no built-in profile has.

    Examples
    --------
    >>> import logitmeter as lm
    >>> lm.profiles.get("openai-post").trailing
    2
    """
    if isinstance(profile, Profile):
        return profile
    found = next((known for known in _BUILTIN if known.name == profile), None)
    if found is None:
        known = ", ".join(builtin())
        message = f"no profile {profile!r}; there are: {known}; or pass a logitmeter.Profile"
        raise SettingsError(message, expected=known, got=repr(profile))
    return found


def counting_of(profile: ProfileLike | None, **given: Any) -> dict[str, Any]:
    """Give the counting options: those of a profile, beside which none can be given, or these."""
    if profile is None:
        return given
    found = get(profile)
    defaults = Profile("").options()
    found.alone({name: value for name, value in given.items() if not _same(value, defaults[name])})
    return found.options()


def needs(counting: Mapping[str, Any]) -> dict[str, Any]:
    """Give what counting options need of a source's columns: see `Source.feed`."""
    return {
        "shift": counting["shift"],
        "by_batch": counting.get("pooling") in {"batches", "samples"},
        "prefer_role": counting.get("profile") is not None,
    }


def _spelt(options: Mapping[str, Any]) -> str:
    """Write options as they are passed; an array as three dots."""
    return ", ".join(
        f"{name}={'...' if name == 'vocab_mask' else repr(value)}"
        for name, value in options.items()
    )


def _same(value: object, default: object) -> bool:
    """Whether an option is at its default; what cannot be compared is not."""
    if value is None or default is None:
        return value is default
    return isinstance(value, bool | int | str | np.generic) and bool(value == default)
