"""`Prompt`: what a model is asked."""

from __future__ import annotations

__all__ = ("Prompt", "messages_of")

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Prompt: TypeAlias = str | Sequence[Mapping[str, Any]]
"""A question, or a conversation: messages with a `role` and a `content`."""


def messages_of(prompt: Prompt) -> list[dict[str, Any]]:
    """Return the conversation; a text is the one message of a user."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    wrong = not isinstance(prompt, Sequence)
    messages = [] if wrong else [dict(each) for each in prompt if isinstance(each, Mapping)]
    if wrong or len(messages) < len(prompt):
        raise TypeError(
            "a prompt is a text, or a list of messages such as {'role': 'user', 'content': 'Hi'}; "
            "write [message] for one"
        )
    return messages
