"""Files of contacts as people and programs write them."""

import io
import zipfile
from collections.abc import Iterable, Sequence

CONTENT_TYPES = '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
BOOK = (
    '<workbook xmlns="urn:x" xmlns:r="urn:r"><sheets>'
    '<sheet name="Hidden" state="hidden" sheetId="1" r:id="rId9"/>'
    '<sheet name="People" sheetId="2" r:id="rId1"/></sheets></workbook>'
)
RELATIONS = (
    '<Relationships xmlns="urn:y"><Relationship Id="rId1" Target="worksheets/sheet1.xml"/>'
    '<Relationship Id="rId9" Target="worksheets/sheet9.xml"/></Relationships>'
)
STYLES = (
    '<styleSheet><numFmts count="2"><numFmt numFmtId="164" formatCode="dd\\/mm\\/yyyy"/>'
    '<numFmt numFmtId="165" formatCode="&quot;day&quot; 0"/></numFmts>'
    '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs>'
    "</styleSheet>"
)


def csv(*lines: str, encoding: str = "utf-8", end: str = "\n") -> io.BytesIO:
    """A text file of these lines."""
    return io.BytesIO(end.join((*lines, "")).encode(encoding))


def sheet(rows: str) -> str:
    return f'<worksheet xmlns="urn:x"><sheetData>{rows}</sheetData></worksheet>'


def texts(rows: Iterable[Sequence[str]]) -> str:
    """Rows of inline texts."""
    return "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) + "</row>"
        for row in rows
    )


def workbook(rows: str, *, shared: Sequence[str] = (), **parts: str) -> io.BytesIO:
    """A workbook whose visible sheet has these rows; `parts` replace or, as "", leave out others."""
    file = io.BytesIO()
    contents = {
        "[Content_Types].xml": CONTENT_TYPES,
        "xl/workbook.xml": parts.get("book", BOOK),
        "xl/_rels/workbook.xml.rels": parts.get("relations", RELATIONS),
        "xl/styles.xml": parts.get("styles", STYLES),
        "xl/worksheets/sheet1.xml": parts.get("sheet", sheet(rows)),
        "xl/worksheets/sheet9.xml": sheet(texts([["hidden"], ["nothing"]])),
        "xl/sharedStrings.xml": parts.get(
            "strings",
            f"<sst>{''.join(f'<si>{text}</si>' for text in shared)}</sst>" if shared else "",
        ),
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            if content:
                archive.writestr(name, content)
    file.seek(0)
    return file
