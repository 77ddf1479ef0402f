"""A handful of parts in the form of Digi-Key's product search, version 4. Prices are invented."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part. `prices`: quantity to unit price, in USD."""

    digikey_number: str
    number: str
    manufacturer: str
    manufacturer_id: int
    description: str
    category: str
    available: int
    prices: Mapping[int, float]
    parameters: Mapping[str, str]

    @property
    def texts(self) -> str:
        """The texts that a search looks at."""
        own = (self.digikey_number, self.number, self.manufacturer, self.description, self.category)
        return " ".join((*own, *self.parameters.values())).casefold()

    def product(self) -> dict[str, object]:
        """Return its `Product`."""
        slug = self.number.lower().replace("/", "-")
        unit_price = next(iter(self.prices.values()))
        return {
            "Description": {
                "ProductDescription": self.description,
                "DetailedDescription": ", ".join((self.category, *self.parameters.values())),
            },
            "Manufacturer": {"Id": self.manufacturer_id, "Name": self.manufacturer},
            "ManufacturerProductNumber": self.number,
            "UnitPrice": unit_price,
            "ProductUrl": f"https://www.digikey.com/en/products/detail/{slug}",
            "DatasheetUrl": f"https://datasheets.example/{slug}.pdf",
            "PhotoUrl": None,
            "ProductVariations": [self._variation()],
            "QuantityAvailable": self.available,
            "ProductStatus": {"Id": 0, "Status": "Active"},
            "BackOrderNotAllowed": False,
            "NormallyStocking": True,
            "Discontinued": False,
            "EndOfLife": False,
            "Ncnr": False,
            "ManufacturerLeadWeeks": "12",
            "ManufacturerPublicQuantity": 0,
            "StandardPackage": 1,
            "Parameters": [
                {
                    "ParameterId": number,
                    "ParameterText": name,
                    "ParameterType": "String",
                    "ValueId": str(number),
                    "ValueText": value,
                }
                for number, (name, value) in enumerate(self.parameters.items(), start=1)
            ],
            "Category": {
                "CategoryId": 1,
                "ParentId": 0,
                "Name": self.category,
                "ChildCategories": [],
            },
            "Series": {"Id": 0, "Name": "-"},
            "Classifications": {
                "ReachStatus": "REACH Unaffected",
                "RohsStatus": "ROHS3 Compliant",
                "MoistureSensitivityLevel": "1  (Unlimited)",
            },
        }

    def standard_pricing(self) -> list[dict[str, object]]:
        """Return its `StandardPricing`, as in versions 3 and 4."""
        return [
            {
                "BreakQuantity": quantity,
                "UnitPrice": price,
                "TotalPrice": round(quantity * price, 5),
            }
            for quantity, price in self.prices.items()
        ]

    def _variation(self) -> dict[str, object]:
        return {
            "DigiKeyProductNumber": self.digikey_number,
            "PackageType": {"Id": 3, "Name": "Bulk"},
            "StandardPricing": self.standard_pricing(),
            "MyPricing": [],
            "MarketPlace": False,
            "TariffActive": False,
            "QuantityAvailableforPackageType": self.available,
            "MaxQuantityForDistribution": 0,
            "MinimumOrderQuantity": 1,
            "StandardPackage": 1,
            "DigiReelFee": 0.0,
        }


PARTS = (
    Part(
        digikey_number="CF14JT10K0CT-ND",
        number="CF14JT10K0",
        manufacturer="Stackpole Electronics Inc",
        manufacturer_id=738,
        description="RES 10K OHM 5% 1/4W AXIAL",
        category="Through Hole Resistors",
        available=1_204_518,
        prices={1: 0.1, 10: 0.042, 100: 0.0156, 1000: 0.00746},
        parameters={"Resistance": "10 kOhms", "Tolerance": "±5%", "Package / Case": "Axial"},
    ),
    Part(
        digikey_number="399-4151-ND",
        number="C320C104K5R5TA",
        manufacturer="KEMET",
        manufacturer_id=399,
        description="CAP CER 0.1UF 50V X7R RADIAL",
        category="Ceramic Capacitors",
        available=98_340,
        prices={1: 0.29, 10: 0.198, 100: 0.1049},
        parameters={"Capacitance": "0.1 µF", "Voltage - Rated": "50V", "Tolerance": "±10%"},
    ),
    Part(
        digikey_number="296-1395-5-ND",
        number="LM358P",
        manufacturer="Texas Instruments",
        manufacturer_id=296,
        description="IC OPAMP GP 2 CIRCUIT 8DIP",
        category="Linear - Amplifiers",
        available=41_877,
        prices={1: 0.42, 25: 0.2944, 100: 0.2515},
        parameters={"Number of Circuits": "2", "Package / Case": '8-DIP (0.300", 7.62mm)'},
    ),
    Part(
        digikey_number="LM2596T-5.0/NOPB-ND",
        number="LM2596T-5.0/NOPB",
        manufacturer="Texas Instruments",
        manufacturer_id=296,
        description="IC REG BUCK 5V 3A TO220-5",
        category="Voltage Regulators - DC DC Switching Regulators",
        available=3_102,
        prices={1: 7.61, 10: 5.111, 45: 4.3404},
        parameters={"Voltage - Output (Min/Fixed)": "5V", "Current - Output": "3A"},
    ),
    Part(
        digikey_number="ATMEGA328P-PU-ND",
        number="ATMEGA328P-PU",
        manufacturer="Microchip Technology",
        manufacturer_id=150,
        description="IC MCU 8BIT 32KB FLASH 28DIP",
        category="Microcontrollers",
        available=12_655,
        prices={1: 2.89, 25: 2.6, 100: 2.4},
        parameters={"Core Processor": "AVR", "Program Memory Size": "32KB (16K x 16)"},
    ),
    Part(
        digikey_number="160-1127-ND",
        number="LTL-307EE",
        manufacturer="Lite-On Inc.",
        manufacturer_id=160,
        description="LED RED DIFFUSED 5MM ROUND T/H",
        category="LED Indication - Discrete",
        available=0,
        prices={1: 0.35, 10: 0.229, 100: 0.1126},
        parameters={"Color": "Red", "Voltage - Forward (Vf) (Typ)": "2V"},
    ),
)


def find_part(number: str) -> Part | None:
    """Return the part with a number of Digi-Key or of its manufacturer."""
    wanted = number.strip().casefold()
    return next(
        (
            part
            for part in PARTS
            if wanted in {part.digikey_number.casefold(), part.number.casefold()}
        ),
        None,
    )


def matching_parts(keywords: str) -> list[Part]:
    """Return the parts with all keywords."""
    words = keywords.casefold().split()
    return [part for part in PARTS if all(word in part.texts for word in words)]
