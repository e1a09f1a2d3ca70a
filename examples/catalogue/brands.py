# ruff: noqa: E501  # a row of the table is a line
"""The invented brands of the example catalogue, and where they sell. Any likeness is an accident."""

from __future__ import annotations

from typing import Literal, NamedTuple

Delivery = Literal["code", "code_with_pin", "claim_url"]


class Brand(NamedTuple):
    name: str
    category: str
    subcategory: str
    delivery: Delivery
    ranged: bool
    """Any amount between two limits, instead of a few fixed ones."""
    about: str


class Country(NamedTuple):
    code: str
    name: str
    currency: str
    fixed: tuple[str, ...]
    """Denominations, as the currency writes them."""
    limits: tuple[str, str]


COUNTRIES = (
    Country("DE", "Germany", "EUR", ("10.00", "20.00", "50.00", "100.00"), ("5.00", "250.00")),
    Country(
        "US", "United States", "USD", ("10.00", "25.00", "50.00", "100.00"), ("5.00", "500.00")
    ),
    Country("JP", "Japan", "JPY", ("500", "1000", "3000", "10000"), ("500", "50000")),
    Country("GB", "United Kingdom", "GBP", ("10.00", "20.00", "50.00"), ("5.00", "250.00")),
    Country("KW", "Kuwait", "KWD", ("1.000", "2.500", "5.000", "10.000"), ("1.000", "75.000")),
    Country("IN", "India", "INR", ("100.00", "250.00", "500.00", "1000.00"), ("50.00", "10000.00")),
    Country("FR", "France", "EUR", ("10.00", "25.00", "50.00"), ("5.00", "250.00")),
    Country(
        "AE", "United Arab Emirates", "AED", ("25.00", "50.00", "100.00"), ("20.00", "1000.00")
    ),
    Country("AU", "Australia", "AUD", ("10.00", "20.00", "50.00", "100.00"), ("5.00", "500.00")),
)

_ROWS = """
Bluefin Coffee|Food and drink|Coffee|code|fixed|Slow roasts and quick queues on two hundred corners.
Paper Crane Books|Shopping|Books|code_with_pin|fixed|New books, old books and a chair to read them in.
Kestrel and Thyme|Food and drink|Groceries|code_with_pin|fixed|A supermarket that still knows its growers.
Lantern Games|Entertainment|Games|code|fixed|Board, card and video games, and someone to explain them.
Saltmarsh Outdoor|Shopping|Outdoor|code|fixed|Boots, tents and everything for rain.
Dune Pearl Spa|Wellbeing|Spa|claim_url|range|Baths, steam and an hour without a telephone.
Nine Lamps Cinema|Entertainment|Cinema|code_with_pin|fixed|Small halls, large screens, real butter.
Copper Kettle Kitchen|Food and drink|Restaurants|code|range|Lunch and dinner from a menu that changes on Mondays.
Juniper Street|Shopping|Fashion|code_with_pin|fixed|Clothes to wear for ten years.
Halfmoon Pets|Family|Pets|code|fixed|Food, toys and advice for anything with fur or feathers.
Tern Rail|Travel|Rail|claim_url|range|Day tickets and night trains.
Oakwell Home|Shopping|Home|code_with_pin|range|Furniture that fits through the door.
Pixelbarn|Shopping|Electronics|code_with_pin|fixed|Cameras, consoles and the right cable.
Marigold Pharmacy|Wellbeing|Pharmacy|code|fixed|Open when you need it.
Quiet Harbour Hotels|Travel|Hotels|claim_url|range|Rooms with a view of water in forty towns.
Ripple Music|Entertainment|Music|code|fixed|Every song you forgot, and the ones you have not heard.
Sunday Oven|Food and drink|Bakeries|code|fixed|Bread from four in the morning.
Tin Robot Toys|Family|Toys|code_with_pin|fixed|Wind it up and stand back.
Velvet Fig|Food and drink|Restaurants|code|range|Small plates for long evenings.
Wheelhouse Cycles|Shopping|Sport|code_with_pin|fixed|Bicycles, repairs and Saturday rides.
Alder Gym|Wellbeing|Fitness|claim_url|fixed|No mirrors, no music, good floors.
Brightwater Streaming|Entertainment|Streaming|code|fixed|Films and series, one price, no advertisements.
Cloudberry Air|Travel|Flights|claim_url|range|Short flights and honest fares.
Dovetail Tools|Shopping|Home improvement|code|fixed|For those who measure twice.
Ember and Ash|Food and drink|Restaurants|code_with_pin|range|Everything over a wood fire.
Foxglove Garden|Shopping|Garden|code|fixed|Seeds, pots and a cup of tea.
Greenfinch Grocers|Food and drink|Groceries|code|fixed|The corner shop, without the corner.
Hazel and Hum|Shopping|Beauty|code_with_pin|fixed|Soaps and scents with short lists of ingredients.
Inkwell Stationers|Shopping|Stationery|code|fixed|Paper, pens and handwriting lessons.
Jolly Otter|Family|Day trips|claim_url|fixed|Aquariums, farms and adventure playgrounds.
Kindling Lights|Giving|Charity|code|range|Give a school its electric light.
Larkspur Flowers|Shopping|Flowers|claim_url|fixed|Cut this morning, there this afternoon.
Monsoon Tea House|Food and drink|Coffee|code|fixed|Forty teas and no hurry.
Northlight Optics|Wellbeing|Opticians|code_with_pin|range|Glasses made while you wait.
Orchard Basket|Food and drink|Delivery|code|range|A box of what is ripe this week.
Puddle and Sons|Shopping|Shoes|code_with_pin|fixed|Soles that can be replaced.
Quartzline Telecom|Mobile|Top-up|code|fixed|Minutes and data for any telephone.
Redwing Sports|Shopping|Sport|code|fixed|Kit for the team and for the bench.
Silver Birch Sauna|Wellbeing|Spa|claim_url|fixed|Hot, cold, again.
Thimble Crafts|Shopping|Crafts|code|fixed|Wool, felt and good light.
Umber Art Supply|Shopping|Crafts|code_with_pin|fixed|Pigments by the gram.
Vesper Theatre|Entertainment|Theatre|claim_url|range|Two stages, nine plays a season.
Willow Wash|Household|Laundry|code|fixed|Collected on Monday, folded by Tuesday.
Xylo Kids Club|Family|Courses|claim_url|fixed|Drums, drama and swimming after school.
Yellow Door Rooms|Travel|Hotels|claim_url|range|Guest houses with breakfast.
Zephyr Fuel and Charge|Mobile|Fuel|code_with_pin|range|Petrol, plugs and clean windscreens.
Amber Mile Taxis|Travel|Taxi|code|range|Home from anywhere.
Basalt Climbing|Wellbeing|Fitness|code|fixed|Walls for every height and nerve.
Cinder Block Cinema|Entertainment|Cinema|code|fixed|Late films in an old power station.
Driftwood Surf|Shopping|Sport|code_with_pin|fixed|Boards, suits and lessons at low tide.
"""

BRANDS = tuple(
    Brand(name, category, subcategory, delivery, kind == "range", about)  # type: ignore[arg-type]  # its column holds only these
    for name, category, subcategory, delivery, kind, about in (
        row.split("|") for row in _ROWS.strip().splitlines()
    )
)


def sells_in(index: int) -> tuple[Country, ...]:
    """Four of the nine countries, another four for the next brand."""
    return tuple(COUNTRIES[(index + step) % len(COUNTRIES)] for step in (0, 1, 3, 6))
