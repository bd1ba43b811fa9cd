"""Files as they come: what is read of each, and what is said of those that cannot be read."""

import io
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from contacts.imports import files, jobs, limits, mapping, workbooks
from contacts.imports.limits import FileTooLarge, FormatNotRead
from tests.contacts.files import BOOK, RELATIONS, csv, sheet, texts, workbook

NUMBER = "300 123 4567"
LOOK = ("Nombre", "Celular")

Made = Callable[[], io.BytesIO]


def rows(file: io.BytesIO) -> tuple[list[str], list[tuple[int, list[str]]]]:
    table = files.open_table(file)
    return table.headers, list(table.rows)


def cells(reference: str, kind: str, value: str, style: str = "") -> str:
    return f'<c r="{reference}" t="{kind}"{style and f" s={chr(34)}{style}{chr(34)}"}><v>{value}</v></c>'


HEAD = '<row r="1"><c r="A1" t="str"><v>Nombre</v></c><c r="B1" t="str"><v>Celular</v></c></row>'


# --- what is read ---------------------------------------------------------------------------------
READ: dict[str, Made] = {
    "comma": lambda: csv("Nombre,Celular", f"José,{NUMBER}"),
    "semicolon": lambda: csv("Nombre;Celular", f"José;{NUMBER}"),
    "semicolon beside commas": lambda: csv("Nombre;Celular", f"José;{NUMBER}", "Díaz, Luz;302"),
    "tab": lambda: csv("Nombre\tCelular", f"José\t{NUMBER}"),
    "bar": lambda: csv("Nombre|Celular", f"José|{NUMBER}"),
    "sep line": lambda: csv("sep=;", "Nombre;Celular", f"José;{NUMBER}"),
    "utf-8 with mark": lambda: csv("Nombre,Celular", f"José,{NUMBER}", encoding="utf-8-sig"),
    "utf-16 little": lambda: csv("\ufeffNombre,Celular", f"José,{NUMBER}", encoding="utf-16-le"),
    "utf-16 big": lambda: csv("\ufeffNombre,Celular", f"José,{NUMBER}", encoding="utf-16-be"),
    "windows-1252": lambda: csv("Nombre,Celular", f"José,{NUMBER}", encoding="windows-1252"),
    "latin-1": lambda: csv("Nombre,Celular", f"José,{NUMBER}", encoding="latin-1"),
    "line ends of windows": lambda: csv("Nombre,Celular", f"José,{NUMBER}", end="\r\n"),
    "line ends of old macs": lambda: csv("Nombre,Celular", f"José,{NUMBER}", end="\r"),
    "no end": lambda: io.BytesIO(f"Nombre,Celular\nJosé,{NUMBER}".encode()),
    "all in quotes": lambda: csv('"Nombre","Celular"', f'"José","{NUMBER}"'),
    "quotes doubled": lambda: csv("Nombre,Celular", f'José,"{NUMBER}"'),
    "blank lines": lambda: csv("Nombre,Celular", f"José,{NUMBER}", "", "   ", ",,"),
    "blanks around": lambda: csv(" Nombre , Celular ", f"  José ,  {NUMBER} "),
    "marks at the end": lambda: csv("Nombre,Celular", f"José,{NUMBER},,,"),
    "inline texts": lambda: workbook(texts([LOOK, ["José", NUMBER]])),
    "shared texts": lambda: workbook(
        '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row>'
        '<row><c t="s"><v>2</v></c><c t="s"><v>3</v></c></row>',
        shared=["<t>Nombre</t>", "<t>Celular</t>", "<r><t>Jo</t></r><r><t>sé</t></r>", f"<t>{NUMBER}</t>"],
    ),
    "value of a formula": lambda: workbook(
        HEAD + '<row><c t="str"><f>A1&amp;B1</f><v>José</v></c>'
        f'<c t="str"><f>1+1</f><v>{NUMBER}</v></c></row>'
    ),
    "prefixes and whole paths": lambda: workbook(
        "",
        sheet=re.sub("<(/?)", r"<\1x:", sheet(texts([LOOK, ["José", NUMBER]]))),
        relations=RELATIONS.replace("worksheets/sheet1", "/xl/worksheets/sheet1"),
    ),
    "without styles": lambda: workbook(texts([LOOK, ["José", NUMBER]]), styles=""),
}  # fmt: skip


@pytest.mark.parametrize("made", READ.values(), ids=READ)
def test_a_usual_file_is_read(made) -> None:
    headers, (first, *_rest) = rows(made())

    assert headers == list(LOOK)
    assert [cell.strip() for cell in first[1][:2]] == ["José", NUMBER]


@pytest.mark.parametrize("made", READ.values(), ids=READ)
def test_its_columns_are_guessed(made) -> None:
    assert jobs.preview(file=made()).mapping == {"phone": "Celular", "name": "Nombre"}


def test_lines_are_counted_as_an_editor_does() -> None:
    file = csv("Nombre,Celular", "", 'Ana,"1', '2"', "Eva,3", "", "Luz,4")

    assert [line for line, _cells in rows(file)[1]] == [3, 5, 7]


def test_lines_of_a_sheet_are_its_rows() -> None:
    file = workbook(HEAD + f'<row r="7">{cells("B7", "n", "3001234567")}</row>')

    assert rows(file)[1] == [(7, ["", "3001234567"])]


def test_an_empty_cell_without_a_reference_keeps_its_column() -> None:
    file = workbook(f'{HEAD}<row><c/><c t="str"><v>{NUMBER}</v></c></row>')

    assert rows(file)[1] == [(2, ["", NUMBER])]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('t="n"><v>573001234567', "573001234567"),
        ('t="n"><v>5.73001234567E11', "573001234567"),
        ('t="n"><v>3001234567.0', "3001234567"),
        ('t="n"><v>1.5', "1.5"),
        ('t="n" s="1"><v>33010', "1990-05-17"),
        ('t="n" s="2"><v>33010.5', "1990-05-17"),
        ('t="n" s="3"><v>33010', "33010"),
        ('t="n" s="1"><v>1E300', "1E300"),
        ('t="b"><v>1', "1"),
        ('t="e"><v>#N/A', "#N/A"),
        ('t="d"><v>1990-05-17', "1990-05-17"),
    ],
)
def test_a_cell_is_read_as_people_see_it(cell, text) -> None:
    file = workbook(f'{HEAD}<row><c r="A2" {cell}</v></c><c r="B2" t="str"><v>x</v></c></row>')

    assert rows(file)[1][0][1][0] == text


def test_days_may_be_counted_from_1904() -> None:
    book = BOOK.replace("<sheets>", '<workbookPr date1904="1"/><sheets>')
    file = workbook(f'{HEAD}<row><c r="A2" s="1"><v>31548</v></c></row>', book=book)

    assert rows(file)[1][0][1] == ["1990-05-17"]


def test_a_file_without_a_header_is_a_list_of_contacts() -> None:
    headers, found = rows(csv("Ana;300 123 4567", "Eva;301 123 4567"))

    assert headers == ["Column 1", "Column 2"]
    assert found[0] == (1, ["Ana", "300 123 4567"])


def test_each_column_has_a_name_of_its_own() -> None:
    assert rows(csv("phone,phone,,phone", "1,2,3,4"))[0] == [
        "phone",
        "phone (2)",
        "Column 3",
        "phone (3)",
    ]


# --- what is not ----------------------------------------------------------------------------------
def zipped(**parts: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def cut(file: io.BytesIO, share: float) -> io.BytesIO:
    content = file.getvalue()
    return io.BytesIO(content[: int(len(content) * share)])


def bomb() -> io.BytesIO:
    """Two gigabytes of blanks in two megabytes, as its table of contents says."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("xl/workbook.xml", BOOK)
        archive.writestr("xl/_rels/workbook.xml.rels", RELATIONS)
        archive.writestr("xl/worksheets/sheet1.xml", sheet(texts([LOOK])))
        for part in archive.infolist():
            part.file_size = 2**31 if part.filename.endswith("sheet1.xml") else part.file_size
    return file


def lying_bomb() -> io.BytesIO:
    """The sheet is longer than the table of contents says."""
    file = workbook(texts([LOOK, *([["José", NUMBER]] * 5_000)]))
    content = file.getvalue()
    with zipfile.ZipFile(file) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    return io.BytesIO(content.replace(struct.pack("<L", size), struct.pack("<L", 500)))


def encrypted() -> io.BytesIO:
    content = bytearray(workbook(texts([LOOK])).getvalue())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := content.find(mark, start + 1)) >= 0:
            content[start + flags] |= 1
    return io.BytesIO(bytes(content))


DOCTYPE = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'

NOT_READ: dict[str, Made] = {
    "nothing": lambda: io.BytesIO(),
    "blank lines": lambda: csv("", "  ", ",,,"),
    "one mark": lambda: io.BytesIO(b"\xef\xbb\xbf"),
    "sep line alone": lambda: csv("sep=;"),
    "random bytes": lambda: io.BytesIO(bytes(range(256)) * 40),
    "a picture": lambda: io.BytesIO(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    "a document": lambda: io.BytesIO(b"%PDF-1.7\n%abc\n"),
    "a page": lambda: io.BytesIO(b"<html><table><tr><td>phone</td></tr></table></html>"),
    "an old workbook": lambda: io.BytesIO(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
    "utf-16 without mark": lambda: csv("Nombre,Celular", "José,1", encoding="utf-16-le"),
    "utf-16 cut off": lambda: io.BytesIO(
        csv("\ufeffNombre,Celular", "José,1", encoding="utf-16-le").getvalue()[:-1]
    ),
    "NUL in the header": lambda: csv("Nom\0bre,Celular", "José,1"),
    "never closed": lambda: csv("Nombre,Celular", 'José,"1', "Eva,2"),
    "text after a quote": lambda: csv("Nombre,Celular", '"Jo"sé,1'),
    "huge cell": lambda: csv("Nombre,Celular", f"{'x' * 140_000},1"),
    "any archive": lambda: zipped(**{"people.csv": b"phone\n1"}),
    "no archive at all": lambda: io.BytesIO(b"PK\x03\x04 and so on"),
    "cut archive": lambda: cut(workbook(texts([LOOK, ["José", NUMBER]])), 0.5),
    "encrypted": encrypted,
    "lying sizes": lying_bomb,
    "no sheet to be seen": lambda: workbook("", book=BOOK.replace('sheetId="2"', 'state="veryHidden"')),
    "no such part": lambda: workbook("", relations=RELATIONS.replace("sheet1", "sheet2")),
    "part outside": lambda: workbook("", relations=RELATIONS.replace("worksheets/sheet1", "../../../etc/x")),
    "broken XML": lambda: workbook("<row><c></row>"),
    "entities in the sheet": lambda: workbook("", sheet=DOCTYPE + sheet("<row><c><v>&b;</v></c></row>")),
    "entities in the texts": lambda: workbook(HEAD, strings=f"{DOCTYPE}<sst><si><t>&b;</t></si></sst>"),
    "entities in the book": lambda: workbook(HEAD, book=DOCTYPE + BOOK),
    "shared text that is none": lambda: workbook(HEAD + f"<row>{cells('A2', 's', '5')}</row>"),
    "reference that is none": lambda: workbook('<row><c r="1A" t="str"><v>x</v></c></row>'),
    "number of a text without end": lambda: workbook(HEAD + f"<row>{cells('A2', 's', '9' * 5000)}</row>"),
    "packed by bzip2": lambda: packed(zipfile.ZIP_BZIP2),
    "packed by LZMA": lambda: packed(zipfile.ZIP_LZMA),
    "parts before the beginning": lambda: io.BytesIO(
        re.sub(rb"(?s)(PK\x05\x06.{12}).{4}", b"\\1\xff\xff\xff\x7f", workbook(HEAD).getvalue())
    ),
    "empty sheet": lambda: workbook(""),
}  # fmt: skip

TOO_LARGE: dict[str, Made] = {
    "a zip bomb": bomb,
    "a bomb that tells its size": lambda: workbook(" " * 17_000_000),
    "cells without end": lambda: workbook(f"<row>{'<c/>' * 17_000}</row>"),
    "a million columns": lambda: io.BytesIO(b"," * 900_000 + b"x"),
    "a line without end": lambda: io.BytesIO(b"x" * 3_000_000),
    "columns of a sheet": lambda: workbook('<row><c r="XFD1" t="str"><v>x</v></c></row>'),
    "huge cell of a sheet": lambda: workbook(f'<row><c t="str"><v>{"x" * 140_000}</v></c></row>'),
    "huge shared text": lambda: workbook(HEAD, shared=[f"<t>{'x' * 140_000}</t>"]),
}


def packed(method: int) -> io.BytesIO:
    """A workbook packed as no program packs one."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(workbook(texts([LOOK, ["José", NUMBER]]))) as made,
        zipfile.ZipFile(packed, "w", method) as archive,
    ):
        for name in made.namelist():
            archive.writestr(name, made.read(name))
    return packed


@pytest.mark.parametrize("made", NOT_READ.values(), ids=NOT_READ)
def test_S59_what_cannot_be_read_is_refused_in_words(made) -> None:
    with pytest.raises(FormatNotRead) as refusal:
        rows(made())

    assert len(str(refusal.value)) > 30


@pytest.mark.parametrize("made", TOO_LARGE.values(), ids=TOO_LARGE)
def test_S59_what_is_too_large_is_refused_before_it_fills_the_memory(made) -> None:
    file = made()
    tracemalloc.start()

    with pytest.raises(FileTooLarge):
        rows(file)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20


def test_S59_a_long_text_that_many_cells_share_does_not_fill_the_memory() -> None:
    row = "<row>" + 100 * '<c t="s"><v>0</v></c>' + "</row>"
    file = workbook(HEAD + 20 * row, shared=[f"<t>{'x' * 130_000}</t>"])
    tracemalloc.start()

    (*_rows, (_line, last)) = rows(file)[1]

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last == ["x" * limits.LONGEST_KEPT] * 100
    assert peak < 32 * 2**20


@pytest.mark.parametrize("number", ["99999999999", "9" * 5_000, "x", "-1"])
def test_S59_a_row_with_a_number_that_is_none_is_the_next(number) -> None:
    file = workbook(f'{HEAD}<row r="{number}"><c t="str"><v>{NUMBER}</v></c></row>')

    assert rows(file)[1] == [(2, [NUMBER])]


def test_S59_too_many_bytes_are_refused_before_any_is_read(monkeypatch) -> None:
    monkeypatch.setattr(files, "LARGEST_FILE", 10)

    with pytest.raises(FileTooLarge):
        files.open_table(csv("phone", "300 123 4567"))


def test_S59_too_many_rows_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(files, "MOST_ROWS", 2)

    assert len(rows(csv("phone", "1", "2"))[1]) == 2
    with pytest.raises(FileTooLarge):
        rows(csv("phone", "1", "2", "3"))


def test_S59_a_sheet_that_unpacks_to_too_much_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(workbooks, "LARGEST_UNPACKED", 2_000)

    with pytest.raises(FileTooLarge):
        rows(workbook(texts([LOOK, *([["José", NUMBER]] * 100)])))


def test_the_line_of_what_cannot_be_read_is_told() -> None:
    with pytest.raises(FormatNotRead, match="line 4"):
        rows(csv("Nombre,Celular", "Ana,1", 'Eva,"2"', 'José,"1', "Luz,3"))


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(count: int) -> int:
        file = workbook(
            "".join(f"<row>{cells(f'A{n}', 's', str(n))}</row>" for n in range(count)),
            shared=[f"<t>number {n:09} of many</t>" for n in range(count)],
        )
        tracemalloc.start()
        many = sum(1 for _row in files.open_table(file).rows)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert many == count - 1
        return found

    assert peak(14_000) - peak(6_000) < 8_000 * 30  # a text alone, as an object, has 70


# --- columns --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Teléfono", "phone"),
        ("NÚMERO DE CELULAR", "phone"),
        ("Phone 1 - Value", "phone"),
        ("e164", "phone"),
        ("Apellidos", "lastName"),
        ("Correo electrónico", "email"),
        ("Fecha de nacimiento", "birthDate"),
        ("País", "country"),
        ("countryCode", "countryCode"),
        ("Etiquetas", "tags"),
        ("Shoe size", None),
    ],
)
def test_a_header_is_understood_as_people_write_it(header, field) -> None:
    assert mapping.guess([header, "x"]) == ({field: header} if field else {})


@pytest.mark.parametrize(
    "given",
    [
        {"phone": "Celular", "name": "Nombre"},
        {"Celular": "phone", "Nombre": "name"},
        {"phone": "Celular", "name": "Nombre", "email": ""},
        {"Celular": "phone", "Nombre": "name", "Otro": ""},
    ],
)
def test_a_mapping_is_read_either_way(given) -> None:
    found = mapping.positions(headers=["Nombre", "Otro", "Celular"], mapping=given)

    assert found == {"phone": 2, "name": 0}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "phone numbers"),
        ({"name": "Nombre"}, "phone numbers"),
        ({"phone": "Fax"}, "Fax"),
        ({"phone": "Celular", "shoe": "Nombre"}, "shoe"),
        ({"phone": "Celular", "name": "Celular"}, "Match each column once"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_why(given, says) -> None:
    with pytest.raises(mapping.MappingNotUsable, match=says):
        mapping.positions(headers=list(LOOK), mapping=given)
