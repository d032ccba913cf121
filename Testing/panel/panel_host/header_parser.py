"""Reads what Qt's meta-object compiler would find in a C++ header: enough for Slicer's and CTK's style, no more."""

from __future__ import annotations

import re
from typing import Any

_CLASS = re.compile(
    r"\bclass\s+(?:[A-Z][A-Z0-9_]*_EXPORT\s+|Q_SLICER\w*_EXPORT\s+)?(?P<name>\w+)\s*(?:final\s*)?"
    r":\s*public\s+(?:virtual\s+)?(?P<base>\w+)[^{;]*\{"
)
_LABEL = re.compile(r"^\s*(public|protected|private|signals|Q_SIGNALS)\s*(slots|Q_SLOTS)?\s*:(?!:)")
_METHOD = re.compile(
    r"^(?P<returns>[\w:<>*&,\s]*?[\s*&>])(?P<name>\w+)\s*\((?P<arguments>.*)\)\s*(?:const|override|final|\s)*$", re.S
)
_QUALIFIERS = re.compile(r"\b(?:virtual|inline|static|explicit|Q_INVOKABLE|Q_SCRIPTABLE|QT_MOC_COMPAT)\b")


def without_comments(text: str) -> str:
    """C++ text without comments, preprocessor lines and string contents."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', text)


def _braced(text: str, start: int) -> str:
    """Text between the brace that opens before ``start`` and the one that closes it."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    return text[start:]


def _split(text: str, separator: str) -> list[str]:
    """Parts between separators that stand outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, "<": 1, "{": 1, ")": -1, ">": -1, "}": -1}.get(letter, 0)
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _argument_type(argument: str) -> str:
    """Normalized type of one argument, as Qt writes it in signatures."""
    declared = argument.partition("=")[0].strip()
    declared = re.sub(r"^const\s+(.*?)\s*&\s*\w*$", r"\1", declared)
    found = re.match(r"^((?:const\s+|unsigned\s+|long\s+)*[\w:]+(?:<.*>)?\s*[*&]*)\s*\w*$", declared)
    return re.sub(r"\s*([*&<>,])\s*", r"\1", (found[1] if found else declared).strip())


def _method(statement: str) -> tuple[str, list[Any]] | None:
    """Name, and [return type, arguments that must be given, argument types], of a method's declaration."""
    found = _METHOD.match(" ".join(_QUALIFIERS.sub(" ", statement).split()))
    if not found or found["returns"].strip() in ("", "return", "typedef", "using", "explicit"):
        return None
    returns = re.sub(r"\bconst\b|&", "", found["returns"]).strip()
    arguments = [argument for argument in _split(found["arguments"], ",") if argument != "void"]
    needed = sum("=" not in argument for argument in arguments)
    return found["name"], [re.sub(r"\s+", "", returns), needed, [_argument_type(argument) for argument in arguments]]


def _property(words: str) -> tuple[str, dict[str, str]]:
    """Name and description of a Q_PROPERTY."""
    head, *pairs = re.split(
        r"\b(READ|WRITE|NOTIFY|RESET|MEMBER|DESIGNABLE|SCRIPTABLE|STORED|USER|CONSTANT|FINAL)\b", words
    )
    described = {key.lower(): value.strip() for key, value in zip(pairs[::2], pairs[1::2], strict=True)}
    found = re.match(r"^(.*?[\s*&>])(\w+)$", head.strip(), re.S)
    if not found:
        raise ValueError(f"property not understood: {words}")
    kept = {key: described[key] for key in ("read", "write", "notify") if key in described}
    return found[2], {"type": re.sub(r"\s+", "", found[1]), **kept}


def _number(expression: str, known: dict[str, int]) -> int:
    """Value of an enumerator: numbers, other enumerators, and | or << between them."""
    total = 0
    for part in expression.split("|"):
        factors = [
            known[word] if word in known else int(word.rstrip("uUlL"), 0) for word in map(str.strip, part.split("<<"))
        ]
        value = factors[0]
        for shift in factors[1:]:
            value <<= shift
        total |= value
    return total


def _enumerations(body: str) -> dict[str, dict[str, int]]:
    """Enumerations that the class registers with Qt, by the name of the enumeration."""
    flags = dict(re.findall(r"Q_DECLARE_FLAGS\(\s*(\w+)\s*,\s*(\w+)\s*\)", body))
    registered = {
        flags.get(word, word)
        for words in re.findall(r"\bQ_(?:ENUMS?|FLAGS?)\s*\(([^)]*)\)", body)
        for word in words.split()
    }
    found: dict[str, dict[str, int]] = {}
    for name, entries in re.findall(r"\benum\s+(?:class\s+)?(\w+)\s*(?::\s*\w+\s*)?\{([^}]*)\}", body):
        if name not in registered:
            continue
        values: dict[str, int] = {}
        for entry in _split(entries, ","):
            label, _, expression = (word.strip() for word in entry.partition("="))
            values[label] = _number(expression, values) if expression else max(values.values(), default=-1) + 1
        found[name] = values
    return found


def parse_class_body(body: str) -> dict[str, Any]:
    """Properties, methods, signals and enumerations of one class."""
    parsed: dict[str, Any] = {"properties": {}, "methods": {}, "signals": {}, "enums": _enumerations(body)}
    for words in re.findall(r"\bQ_PROPERTY\s*\(((?:[^()]|\([^()]*\))*)\)", body):
        name, description = _property(words)
        parsed["properties"][name] = description
    body = re.sub(
        r"\b(?:Q_PROPERTY|Q_PRIVATE_SLOT|Q_ENUMS?|Q_FLAGS?|Q_CLASSINFO|Q_DECLARE_\w+|Q_DISABLE_COPY)\s*\((?:[^()]|\([^()]*\))*\)\s*;?",
        "",
        body,
    )
    body = re.sub(r"\b(?:Q_OBJECT|QVTK_OBJECT|Q_GADGET)\b", "", body)
    while "{" in body:  # bodies of inline methods, innermost first
        body = re.sub(r"\{[^{}]*\}", ";", body)
    section = "private"
    for statement in body.split(";"):
        declared = statement
        while label := _LABEL.match(declared):
            section = "signals" if "ignals" in label[1] else label[1] + (" slots" if label[2] else "")
            declared = declared[label.end() :]
        kind = "signals" if section == "signals" else "methods"
        reachable = section in ("signals", "public slots") or (section == "public" and "Q_INVOKABLE" in declared)
        method = _method(declared) if reachable and "(" in declared else None
        if method and method[1] not in parsed[kind].get(method[0], []):
            parsed[kind].setdefault(method[0], []).append(method[1])
    parsed["signals"] = {name: [overload[2] for overload in overloads] for name, overloads in parsed["signals"].items()}
    return parsed


def parse_classes(text: str) -> dict[str, dict[str, Any]]:
    """Every class of a header that derives from another."""
    text = without_comments(text)
    return {
        found["name"]: {"base": found["base"], **parse_class_body(_braced(text, found.end()))}
        for found in _CLASS.finditer(text)
    }


def decorated_methods(text: str) -> dict[str, dict[str, list]]:
    """Methods that a PythonQt decorator class adds, by the class that gets them: the first argument is the object."""
    added: dict[str, dict[str, list]] = {}
    for parsed in parse_classes(text).values():
        for name, overloads in parsed["methods"].items():
            for returns, needed, types in overloads:
                static = re.match(r"static_(\w+?)_(\w+)$", name)
                if static:
                    added.setdefault(static[1], {}).setdefault(static[2], []).append([returns, needed, types])
                elif types and types[0].endswith("*"):
                    added.setdefault(types[0][:-1], {}).setdefault(name, []).append([returns, needed - 1, types[1:]])
    return added
