"""The language against an independent implementation: the same result, or both refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import e2b_dockerfile_utils
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rootless.build.dockerfile import parser
from rootless.build.dockerfile.expansion import ExpansionError, expand, expand_words
from rootless.build.dockerfile.instructions import read
from rootless.build.dockerfile.source import DockerfileError

KNOWN = {"v": "value", "e": "", "a": "a b  c", "q": "aXbXc", "n": "x\ny", "s": "*/?\\"}
PIECES = [
    "$", "$v", "${", "}", "${v}", "${u", ":-", "-", ":+", "+", "?", ":?", "#", "##", "%", "%%", "/",
    "//", "*", "\\", "`", '"', "'", " ", "\t", "\n", "a", "v", "X", "b", "${q/X/", "${q//b", "${a#",
    "${e:-", "${n%", "${s#", "é", "1", "_", "(", ")", "=", "\\*", "\\}", "\\/", "$$", "[", "]", ".",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


def peer(escape: str, **options: bool) -> Any:
    """The other implementation, with the same variables."""
    return e2b_dockerfile_utils.ShellLex(escape, env=KNOWN, skip_unset_env=False, **options)


def outcome(call: Callable[[], Any]) -> Any:
    """The result, or that it was refused."""
    try:
        return call()
    except (ExpansionError, ValueError):
        return "refused"


@settings(max_examples=800, deadline=None)
@given(TEXTS, st.sampled_from(["\\", "`"]))
def test_a_word_expands_alike(text: str, escape: str) -> None:
    # a pattern that ends with \ is refused here; turned round, it means something there
    assume(not (escape == "`" and "%" in text and "\\}" in text))
    mine = outcome(lambda: expand(text, KNOWN.get, escape=escape))
    assert mine == outcome(lambda: peer(escape).process_word(text))


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_a_here_document_expands_alike(text: str) -> None:
    mine = outcome(lambda: expand(text, KNOWN.get, quotes=False))
    assert mine == outcome(lambda: peer("\\", skip_process_quotes=True).process_word(text))


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_words_split_alike(text: str) -> None:
    mine = outcome(lambda: expand_words(text, KNOWN.get))
    theirs = outcome(lambda: peer("\\").process_words(text))
    # a word that is nothing but empty quotes is none in what BuildKit ships
    assert mine == (theirs if theirs == "refused" else [word for word in theirs if word])
    assert parser.split_words(text) == e2b_dockerfile_utils.parse_words(text, "\\")


LINES = (
    r"""
FROM a
FROM a AS b
RUN x
RUN x \
RUN <<E
RUN cat <<-E >/o <<'F'
E
	E
F
COPY <<"E" f /x
COPY --from=a --link f \
  g /h
# comment
  # comment
{blanks}

ENV a=1 \
b=2
LABEL a="x\
y"
CMD ["a", "b"]
CMD ['a']
ADD ["a"] b
ONBUILD COPY a b
HEALTHCHECK --retries=1 CMD ["a"]
RUN --x="a b" y
RUN -- --x
EXPOSE 80  90
# escape=`
# syntax=x
RUN y `
\
MAINTAINER a b
SHELL ["a"]
  WORKDIR /a
VOLUME a  b
RUN echo $((1<<3))
RUN echo "<<E"
RUN cat <<${u:-E}
${u:-E}
""".strip("\n")
    .replace("\\\\", "\\")
    .split("\n")
)


@settings(max_examples=800, deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
@example(["FROM a", "RUN x \\"], "\n")
def test_files_are_cut_alike(lines: list[str], end: str) -> None:
    text = end.join(lines)
    try:
        theirs = e2b_dockerfile_utils.parse_dockerfile_ast(text)
    except e2b_dockerfile_utils.DockerfileSyntaxError:
        theirs = None
    if theirs is not None and not theirs.instructions:
        # a file without instructions is refused, as by BuildKit
        theirs = None
    try:
        mine = parser.parse(text.encode())
        for line in mine.lines:
            # the other one looks at pairs when it cuts
            if line.keyword in ("ENV", "LABEL"):
                read(line)
    except DockerfileError:
        mine = None
    assert (mine is None) == (theirs is None)
    if mine is None:
        return
    assert mine.escape == theirs.escape_token
    for line, other in zip(mine.lines, theirs.instructions, strict=True):
        assert line.keyword == other.name.upper()
        assert list(line.flags) == other.flags
        assert (line.place.first, line.place.last) == (other.start_line, other.end_line)
        assert [(d.name, d.text, d.chomp, d.expand) for d in line.heredocs] == [
            (d.name, d.content, d.chomp, d.expand) for d in other.heredocs
        ]
        assert (line.json is not None) == other.json
