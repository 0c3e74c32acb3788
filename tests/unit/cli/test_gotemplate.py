"""`--format` as Go's text/template and docker's functions define it."""

from __future__ import annotations

from typing import Any

import pytest

from rootless.cli.gotemplate import Template
from rootless.errors import UsageError

DATA: dict[str, Any] = {
    "Name": "web",
    "Id": "0123456789abcdef0123",
    "Running": True,
    "Code": 0,
    "Nothing": None,
    "Size": 1.5,
    "Labels": {"b.c": "2", "a": "1"},
    "Mounts": [{"Source": "/a", "RW": True}, {"Source": "/b", "RW": False}],
    "Empty": [],
    "State": {"Status": "running", "Health": {"Log": []}},
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "90/udp": None}},
}


def rendered(text: str) -> str:
    return Template(text).render(DATA)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{.Name}}", "web"),
        ("{{ .Name }}\t{{.State.Status}}", "web\trunning"),
        ("{{.Running}} {{.Code}} {{.Size}}", "true 0 1.5"),
        ("{{.Nothing}}", "<no value>"),
        ("{{.Labels.nothing}}", "<no value>"),
        ("{{with .Labels}}{{.nothing}}{{end}}", "<no value>"),
        ("{{if .State.Healthcheck}}checked{{else}}no{{end}}", "checked"),
        ("{{.Labels.nothing.deeper}}", "<no value>"),
        ("{{.Labels}}", "map[a:1 b.c:2]"),
        ("{{.Empty}}", "[]"),
        ("{{json .Labels}}", '{"b.c":"2","a":"1"}'),
        ("{{.Name | json}}", '"web"'),
        ('{{index .Labels "b.c"}}', "2"),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{(index .Mounts 1).Source}}", "/b"),
        ("{{len .Mounts}} {{len .Name}} {{len .Labels}}", "2 3 2"),
        ("{{range .Mounts}}{{.Source}};{{end}}", "/a;/b;"),
        ("{{range $i, $m := .Mounts}}{{$i}}={{$m.Source}} {{end}}", "0=/a 1=/b "),
        ("{{range $k, $v := .Labels}}{{$k}}:{{$v}},{{end}}", "a:1,b.c:2,"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        (
            "{{range $p, $c := .NetworkSettings.Ports}}{{$p}}"
            "{{with $c}}->{{(index . 0).HostPort}}{{end}} {{end}}",
            "80/tcp->8080 90/udp ",
        ),
        ("{{if .Running}}up{{else}}down{{end}}", "up"),
        ("{{if .Code}}bad{{else if .Running}}fine{{else}}gone{{end}}", "fine"),
        ("{{if and .Running (eq .Code 0)}}ok{{end}}", "ok"),
        ('{{if or .Code (ne .Name "web")}}a{{else}}b{{end}}', "b"),
        ("{{if not .Empty}}empty{{end}}", "empty"),
        ('{{if eq .Name "db" "web"}}one of them{{end}}', "one of them"),
        ("{{if gt (len .Mounts) 1}}many{{end}}", "many"),
        ("{{with .State}}{{.Status}} {{$.Name}}{{end}}", "running web"),
        ("{{with .Nothing}}x{{else}}y{{end}}", "y"),
        ("{{$n := .Name}}{{$n}}{{$n}}", "webweb"),
        ('{{upper .Name}} {{.Name | title}} {{lower "ABC"}}', "WEB Web abc"),
        ('{{join (split "a,b,c" ",") "-"}}', "a-b-c"),
        ("{{slice .Id 0 4}}|{{truncate .Id 5}}", "0123|01234"),
        ("{{pad .Name 1 2}}|", " web  |"),
        ('{{printf "%-6s|%5d|%q|%v%%" .Name 7 .Name .Running}}', 'web   |    7|"web"|true%'),
        ("{{print .Name 1}}", "web1"),
        ("a {{- /* a comment */ -}} b", "ab"),
        ("x  {{- .Name -}}  y", "xweby"),
        ('{{"quoted \\"text\\" }}"}}', 'quoted "text" }}'),
        ("{{`raw \\n`}}", "raw \\n"),
        ("{{println .Name}}", "web\n"),
    ],
)
def test_a_template(text: str, expected: str) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{.Nane}}", 'no field "Nane"'),
        ("{{.State.Statsu}}", 'no field "Statsu"'),
        ("{{with .State}}{{.Statsu}}{{end}}", 'no field "Statsu"'),
        ("{{range .Mounts}}{{.Target}}{{end}}", 'no field "Target"'),
        ("{{.Name.First}}", 'no field "First"'),
        ("{{.Name", "not closed"),
        ("{{if .Name}}x", "{{end}} is missing"),
        ("{{end}}", "belongs to nothing"),
        ("{{range .Mounts}}{{else}}", "{{end}} is missing"),
        ("{{nosuch .Name}}", 'unknown template function "nosuch"'),
        ("{{}}", "not understood"),
        ("{{.Name | }}", "not understood"),
        ("{{(len .Name}}", "not closed"),
        ("{{()}}", "not closed"),
        ("{{| len}}", "not understood"),
        ("{{len 7}}", "cannot be used so"),
        ("{{index .Mounts 9}}", "out of range"),
        ("{{$x}}", "no variable $x"),
        ("{{.Name 3}}", "no operands"),
        ("{{printf}}", "cannot be used so"),
        ("{{lt 1 .Name}}", "cannot be used so"),
        ("{{/* open", "not closed"),
        ("{{#}}", "not understood"),
        ('{{printf "%d" .Labels}}', "cannot be used so"),
    ],
)
def test_a_mistake_is_a_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r".") as caught:
        rendered(text)
    assert said in caught.value.message


def test_a_missing_field_names_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        rendered("{{.nAme}}")
    assert "did you mean Name?" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        rendered("{{.State.Nonsense}}")
    assert caught.value.hint == "there are Health, Status"


def test_go_escapes_html_in_json_and_we_do_not_need_to() -> None:
    # docker's json function does not escape either (SetEscapeHTML(false))
    assert Template("{{json .a}}").render({"a": "<&>"}) == '"<&>"'
