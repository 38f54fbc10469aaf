from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

# What MusicXML's schema borrows from elsewhere, for those who are not online.
BORROWED = {
    "http://www.w3.org/XML/1998/namespace": """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
 targetNamespace="http://www.w3.org/XML/1998/namespace"><xs:attribute name="lang" type="xs:language"/>
 <xs:attribute name="space" type="xs:NCName"/></xs:schema>""",
    "http://www.w3.org/1999/xlink": """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
 targetNamespace="http://www.w3.org/1999/xlink"><xs:attribute name="href" type="xs:anyURI"/>
 <xs:attribute name="type" type="xs:string"/><xs:attribute name="role" type="xs:token"/>
 <xs:attribute name="title" type="xs:token"/><xs:attribute name="show" type="xs:string"/>
 <xs:attribute name="actuate" type="xs:string"/></xs:schema>""",
}


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> object:
    etree = pytest.importorskip("lxml.etree")
    partitura = importlib.util.find_spec("partitura")
    if partitura is None or partitura.origin is None:
        pytest.skip("partitura has the copy of the schema")
    source = Path(partitura.origin).parent / "assets" / "musicxml.xsd"
    folder = tmp_path_factory.mktemp("xsd")
    tree = etree.parse(str(source))
    for number, borrowed in enumerate(tree.iter("{http://www.w3.org/2001/XMLSchema}import")):
        path = folder / f"{number}.xsd"
        path.write_text(BORROWED[borrowed.get("namespace")])
        borrowed.set("schemaLocation", str(path))
    tree.write(str(folder / "musicxml.xsd"))
    return etree.XMLSchema(etree.parse(str(folder / "musicxml.xsd")))
