"""Products and charges as the client API writes them (client API, section 5)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from starship_core.access import Client
from starship_core.catalogue import Product, Snapshot
from starship_core.clock import rfc3339
from starship_core.flows.quote_charges import Charges
from starship_core.http.amounts import Amount, percent_text
from starship_core.model import DeliveryTime, Sku, minor_text
from starship_core.pricing import discount_for
from starship_core.ship import Ship
from starship_core.store.pooled import delivery_time

_LARGEST: Final = 2**63 - 1

Id = Annotated[int, Meta(gt=0, le=_LARGEST)]


class OfferAnswer(Struct, frozen=True):
    """What may be ordered; `min_value == max_value` is a fixed denomination."""

    min_value: str
    max_value: str
    discount: str
    """Percent that you get on it: your own, else the denomination's, the product's, the default."""


class ProductAnswer(Struct, frozen=True, kw_only=True):
    """A product in a list."""

    id: int
    name: str
    category: str
    sub_category: str | None
    country_id: int | None
    """Null: usable everywhere."""
    currency_id: int
    currency_code: str
    image_url: str | None
    delivery_type: Literal["code", "code_with_pin", "claim_url"]
    delivery_time: DeliveryTime
    """Of one unit; a product with a range of values is DELAYED until a call names one."""
    validity: str | None
    available_denominations: list[OfferAnswer]


class DenominationAnswer(Struct, frozen=True):
    """One fixed denomination, and how it stands now."""

    value: str
    delivery_time: DeliveryTime
    available_quantity_hint: int
    """Units that could be delivered at once; 50 stands for 50 or more."""


class ProductDetail(ProductAnswer, frozen=True, kw_only=True):
    """One product, whole."""

    description: str
    terms: str
    vendors: list[str]
    denominations: list[DenominationAnswer]


class AvailabilityBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for."""

    denomination: Amount
    """Face value of one unit, in the product's currency: a decimal string or a number."""
    quantity: Annotated[int, Meta(gt=0, le=1_000_000)]


class ChargesBody(AvailabilityBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for, and which wallet would pay."""

    wallet_id: Id | None = None
    """Left out: the wallet in the product's currency, else your default wallet."""


class AvailabilityAnswer(Struct, frozen=True):
    """Whether an order for this would be accepted now."""

    is_available: bool
    delivery_time: DeliveryTime
    max_quantity: int
    """The most that one order of yours may ask for."""


class ChargesDetails(Struct, frozen=True, kw_only=True):
    """How the product's currency became the wallet's; the last four are null where it is one."""

    source_currency: str
    destination_currency: str
    forex_rate: str | None
    forex_source: str | None
    forex_as_of: str | None
    conversion_fee: str | None


class ChargesAnswer(Struct, frozen=True, kw_only=True):
    """Every line in the wallet's currency; they add up, and `total_payable` is the debit."""

    non_discounted_total: str
    discount: str
    """Percent."""
    discount_amount: str
    total_amount: str
    net_amount: str
    """`total_amount` and all fees."""
    handling_fee_amount: str
    convenience_fee_amount: str
    gst_amount: str
    total_payable: str
    max_quantity: int
    delivery_time: DeliveryTime
    quote: str
    """Send it with the order, before `expires_at`, to be charged exactly this."""
    expires_at: str
    charges_details: ChargesDetails


class Shown(Struct, frozen=True):
    """What the same product looks like to one client."""

    snapshot: Snapshot
    client: Client
    ship: Ship

    def item(self, product: Product, in_time: DeliveryTime) -> ProductAnswer:
        """As a list shows it."""
        return ProductAnswer(**self._facts(product, in_time))

    def whole(
        self, product: Product, in_time: DeliveryTime, stock: dict[Sku, int]
    ) -> ProductDetail:
        """As it is shown alone; `stock` of each fixed denomination."""
        return ProductDetail(
            **self._facts(product, in_time),
            description=product.description,
            terms=product.terms,
            vendors=list(product.vendors),
            denominations=[
                DenominationAnswer(sku.face.text, delivery_time(count, 1), count)
                for sku, count in stock.items()
            ],
        )

    def _facts(self, product: Product, in_time: DeliveryTime) -> dict[str, Any]:
        categories = self.snapshot.categories
        below = product.subcategory_id
        return {
            "id": product.id,
            "name": product.name,
            "category": categories[product.category_id].name,
            "sub_category": None if below is None else categories[below].name,
            "country_id": product.country_id,
            "currency_id": self.snapshot.currency_ids[product.currency],
            "currency_code": product.currency,
            "image_url": product.image_url,
            "delivery_type": product.delivery_type,
            "delivery_time": in_time,
            "validity": product.validity,
            "available_denominations": self._offers(product),
        }

    def _offers(self, product: Product) -> list[OfferAnswer]:
        default = self.ship.config.pricing.discount
        offers = []
        for offer in product.denominations:
            percent = discount_for(self.snapshot, self.client.id, product, offer)
            offers.append(
                OfferAnswer(
                    minor_text(offer.minimum, product.currency),
                    minor_text(offer.maximum, product.currency),
                    percent_text(default if percent is None else percent),
                )
            )
        return offers


def charges_answer(charges: Charges) -> ChargesAnswer:
    """Every line with the wallet currency's decimals."""
    order = charges.order
    price = order.price

    def text(minor: int) -> str:
        return minor_text(minor, price.currency)

    converted = price.forex_rate is not None
    return ChargesAnswer(
        non_discounted_total=text(price.non_discounted_total),
        discount=price.discount,
        discount_amount=text(price.discount_amount),
        total_amount=text(price.total_amount),
        net_amount=text(price.net_amount),
        handling_fee_amount=text(price.handling_fee),
        convenience_fee_amount=text(price.convenience_fee),
        gst_amount=text(price.tax),
        total_payable=text(price.total_payable),
        max_quantity=charges.max_quantity,
        delivery_time=charges.delivery_time,
        quote=charges.quote,
        expires_at=rfc3339(charges.expires_at),
        charges_details=ChargesDetails(
            source_currency=order.sku.currency,
            destination_currency=price.currency,
            forex_rate=price.forex_rate,
            forex_source=price.forex_source,
            forex_as_of=None if price.forex_as_of is None else rfc3339(price.forex_as_of),
            conversion_fee=text(price.conversion_fee) if converted else None,
        ),
    )
