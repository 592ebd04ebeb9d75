"""Text that would run as a script wherever it became HTML unescaped. None of it may."""

from __future__ import annotations

RAN = "window.itRan"
PAYLOADS = (
    "<script>window.itRan=1</script>",
    "<img src=x onerror=window.itRan=1>",
    '"><svg onload=window.itRan=1>',
    '\'"><img src=x onerror="window.itRan=1">',
    '<iframe srcdoc="<script>parent.itRan=1</script>">',
    "</textarea><script>window.itRan=1</script>",
    "</script><script>window.itRan=1</script>",
    '<a href="javascript:window.itRan=1" autofocus onfocus=window.itRan=1>x</a>',
    "<details open ontoggle=window.itRan=1>",
    "${window.itRan=1}{{window.itRan=1}}<b onmouseover=window.itRan=1>",
)
