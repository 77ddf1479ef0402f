"""Digi-Key's product search, version 3, which digikey-api 1.1 and KiCost's first plug-in still ask.

Paths and members as these tools send and read them. They read no errors of version 3.
"""

import json
from collections.abc import Mapping

from functions.http.messages import Request, Response
from functions.http.parameters import MalformedRequestError
from infra.local.simulated.digikey_parts import Part, find_part, matching_parts
from infra.local.simulated.errors import problem
from infra.local.simulated.vendor import Routes

_PRODUCTS = "/Search/v3/Products/"
_LOCALE = {"Site": "US", "Language": "en", "Currency": "USD", "ShipToCountry": "US"}


def routes_at(path: str) -> Routes | None:
    """Return the handlers at a path, by method, or None if it is not of version 3."""
    number = path.removeprefix(_PRODUCTS)
    if number == path or not number:
        return None
    if number == "Keyword":
        return {"POST": _search}
    if number == "ManufacturerProductDetails":
        return {"POST": _search_manufacturer}
    return {"GET": lambda _: _details(number)}


def _search(request: Request) -> Response:
    keywords = _read_text(request.body, "Keywords")
    found, exact = matching_parts(keywords), find_part(keywords)
    return Response.json(
        200,
        {
            "Products": list(map(_product, found)),
            "ProductsCount": len(found),
            "ExactManufacturerProductsCount": 0 if exact is None else 1,
            "ExactManufacturerProducts": [] if exact is None else [_product(exact)],
            "ExactDigiKeyProduct": None if exact is None else _product(exact),
            "SearchLocaleUsed": _LOCALE,
        },
    )


def _search_manufacturer(request: Request) -> Response:
    part = find_part(_read_text(request.body, "ManufacturerProduct"))
    return Response.json(200, {"ProductDetails": [] if part is None else [_product(part)]})


def _details(number: str) -> Response:
    part = find_part(number)
    if part is None:
        return problem(404, "Not Found", f"No product {number}.")
    return Response.json(200, _product(part))


def _read_text(body: bytes, name: str) -> str:
    """Return a member of the request. Raises MalformedRequestError."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError("the body is not JSON") from error
    text = asked.get(name) if isinstance(asked, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise MalformedRequestError(f"{name} is missing")
    return text.strip()


def _product(part: Part) -> Mapping[str, object]:
    later = part.product()
    return {
        "DigiKeyPartNumber": part.digikey_number,
        "ManufacturerPartNumber": part.number,
        "Manufacturer": _named("Manufacturer", part.manufacturer, number=part.manufacturer_id),
        "Category": _named("Category", part.category, number=1),
        "ProductDescription": part.description,
        "ProductUrl": later["ProductUrl"],
        "PrimaryDatasheet": later["DatasheetUrl"],
        "ProductStatus": "Active",
        "QuantityAvailable": part.available,
        "MinimumOrderQuantity": 1,
        "UnitPrice": later["UnitPrice"],
        "StandardPricing": part.standard_pricing(),
        "AdditionalValueFee": 0.0,
        "RoHSStatus": "ROHS3 Compliant",
        "Parameters": [
            _named(name, value, number=number)
            for number, (name, value) in enumerate(part.parameters.items(), start=1)
        ],
        "SearchLocaleUsed": _LOCALE,
    }


def _named(parameter: str, value: str, *, number: int) -> Mapping[str, object]:
    return {
        "ParameterId": number,
        "ValueId": str(number),
        "Parameter": parameter,
        "Value": value,
    }
