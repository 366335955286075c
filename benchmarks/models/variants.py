"""The table of what is compared: the SDKs, each before what streamkit does on its wire."""

from __future__ import annotations

__all__ = ("GEMINI", "GENAI", "GPT", "GPT_BY_SDK", "OPENAI", "VARIANTS")

OPENAI, GPT, GPT_BY_SDK = "openai", "streamkit-gpt", "streamkit-gpt-by-openai"
GENAI, GEMINI = "google-genai", "streamkit-gemini"

# Each with the SDK that its CPU is compared to.
VARIANTS = {
    OPENAI: OPENAI,
    GPT: OPENAI,
    GPT_BY_SDK: OPENAI,
    GENAI: GENAI,
    GEMINI: GENAI,
}
