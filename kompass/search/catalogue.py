"""What of a document is searched, by type.

Every document is searched as itself: a companion's fields only as the companion, a card's only as the card,
each under its own channels. So a text is found by those who may read the document that says it, and by nobody
else. What people are shown is the base document that a companion or a card belongs to.

Every type there is stands in `SEARCHED` or in `NOT_SEARCHED`; a test sees to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from kompass.access.companions import BASE_FIELD, BASE_OF

FACETS = ("type", "owner", "customerId", "projectId", "status", "rating", "customerType")
"""What results are narrowed by, and counted for."""


@dataclass(frozen=True, slots=True)
class Searched:
    """Fields by how much a word in them counts. A path is like `lineItems[].description`."""

    title: tuple[str, ...] = ()
    """What the document is called by; counts most."""
    subtitle: tuple[str, ...] = ()
    """What tells it from others of that name. Only shown: fields are searched where they stand below."""
    strong: tuple[str, ...] = ()
    """What people know a document by besides."""
    plain: tuple[str, ...] = ()
    """Everything else that is text."""
    exact: tuple[str, ...] = ()
    """Numbers of documents, telephone numbers, codes: no spelling mistakes are forgiven."""
    amounts: tuple[str, ...] = ()
    """Sums of money: found by the whole sum."""
    facets: Mapping[str, str] = field(default_factory=dict)
    """Facet -> path. `type` needs none."""
    value: str = ""
    """What `sort=value` goes by."""
    weight: float = 1.0
    """Of two documents that fit as well, the one whose type has more of it comes first."""

    @property
    def texts(self) -> tuple[str, ...]:
        """All fields whose text is searched, those that count most first."""
        return (*self.title, *self.strong, *self.plain)


_NOTES = ("notes",)
_CUSTOMER = {"customerId": "customerId"}
_PROJECT = {"projectId": "projectId"}
_STATUS = {"status": "status"}

_customer = Searched(
    title=("companyName",),
    subtitle=("billingAddress.zipCode", "billingAddress.city"),
    strong=("billingAddress.city", "billingAddress.street", "email", "website", "industry"),
    exact=("phone", "billingAddress.zipCode"),
    facets={"customerId": "_id", "customerType": "customerType"},
    weight=1.3,
)
_opportunity = Searched(
    title=("title",),
    subtitle=("status", "expectedCloseDate"),
    facets={"owner": "owner", **_CUSTOMER, **_STATUS},
    weight=1.1,
)
_project = Searched(
    title=("name",),
    subtitle=("projectNumber", "status"),
    strong=("tags[]", "milestones[].name"),
    plain=("description",),
    exact=("projectNumber",),
    facets={"owner": "projectManagerId", **_CUSTOMER, "projectId": "_id", **_STATUS},
    weight=1.2,
)
_invoice = Searched(
    title=("invoiceNumber",),
    exact=("invoiceNumber",),
    facets=_CUSTOMER,
)
_tour = Searched(
    title=("title",),
    subtitle=("region", "startDate"),
    strong=("region",),
    facets={"owner": "ownerId", **_STATUS},
)
_supplier = Searched(
    title=("companyName",),
    subtitle=("billingAddress.zipCode", "billingAddress.city"),
    strong=("billingAddress.city", "billingAddress.street", "email", "serviceCategories[]"),
    exact=("phone", "billingAddress.zipCode"),
    facets=_STATUS,
    weight=1.1,
)
_material = Searched(
    title=("materialName",),
    subtitle=("materialCode", "category"),
    strong=("category",),
    plain=("description",),
    exact=("materialCode",),
    facets=_STATUS,
)
_user = Searched(
    title=("displayName",),
    subtitle=("department",),
    strong=("userName", "email", "department"),
    exact=("phoneNumber",),
)


def _card(base: Searched, doctype: str) -> Searched:
    """A card is found by what it repeats; where the base is counted under its own id, the card names it."""
    named = BASE_FIELD[doctype]
    return replace(
        base, facets={facet: named if path == "_id" else path for facet, path in base.facets.items()}
    )


SEARCHED: Mapping[str, Searched] = MappingProxyType(
    {
        # sales
        "customer": replace(
            _customer,
            plain=_NOTES,
            exact=("customerNumber", "vatNumber", *_customer.exact),
            facets={**_customer.facets, "owner": "owner", "rating": "rating"},
        ),
        "customer_card": _card(_customer, "customer_card"),
        "customer_finance": Searched(
            plain=("paymentTerms", "notes"), amounts=("creditLimit", "accountBalance"), facets=_CUSTOMER
        ),
        "customer_visit": Searched(plain=_NOTES, facets=_CUSTOMER),
        "location": Searched(
            title=("locationName",),
            subtitle=("deliveryAddress.zipCode", "deliveryAddress.city"),
            strong=("deliveryAddress.city", "deliveryAddress.street"),
            plain=("deliveryNotes", "parkingInstructions", "openingHours", "notes"),
            exact=("deliveryAddress.zipCode",),
            facets=_CUSTOMER,
        ),
        "contact": Searched(
            title=("firstName", "lastName"),
            subtitle=("position", "department"),
            strong=("email", "position", "department"),
            plain=_NOTES,
            exact=("phone", "mobile"),
            facets=_CUSTOMER,
            weight=1.2,
        ),
        "lead": Searched(
            title=("companyName",),
            subtitle=("city", "billingAddress.city", "status"),
            strong=("firstName", "lastName", "city", "billingAddress.city", "email"),
            plain=("description", "rejectionReason", "notes"),
            exact=("phone",),
            facets={"owner": "owner", **_STATUS},
        ),
        "opportunity": replace(
            _opportunity,
            strong=("tags[]", "nextStep"),
            plain=("description", "lostReason", "lostToCompetitor", "notes"),
            amounts=("estimatedValue", "actualValue"),
            value="estimatedValue",
        ),
        "opportunity_card": _opportunity,
        "offer": Searched(
            title=("offerNumber",),
            subtitle=("status", "offerDate"),
            plain=("lineItems[].description", "terms", "rejectionReason", "notes"),
            exact=("offerNumber",),
            amounts=("totalEur", "subtotalEur"),
            facets={**_CUSTOMER, **_STATUS},
            value="totalEur",
        ),
        "offer_margin": Searched(plain=_NOTES, amounts=("costBasisEur", "marginEur")),
        "contract": Searched(
            title=("contractNumber",),
            subtitle=("status", "contractDate"),
            plain=("deliverySchedule[].description", "terms", "terminationReason", "notes"),
            exact=("contractNumber",),
            amounts=("contractValueEur", "subtotalEur"),
            facets={"owner": "projectManagerId", **_CUSTOMER, **_PROJECT, **_STATUS},
            value="contractValueEur",
        ),
        "invoice": replace(
            _invoice,
            subtitle=("status", "invoiceDate"),
            plain=_NOTES,
            exact=("invoiceNumber", "lexwareId"),
            facets={**_CUSTOMER, **_PROJECT, **_STATUS},
        ),
        "invoice_amount": Searched(
            plain=_NOTES, amounts=("netAmount", "taxAmount", "grossAmount", "paidAmount"), value="grossAmount"
        ),
        "invoice_card": _invoice,
        "activity": Searched(
            title=("subject",),
            subtitle=("activityType", "date"),
            plain=("description", "outcome", "voiceTranscript", "notes"),
            facets={"owner": "createdBy", **_CUSTOMER, **_PROJECT},
        ),
        "protocol": Searched(
            title=("title",),
            subtitle=("date",),
            strong=("tags[]", "participants[]"),
            plain=("summary", "nextActions[].task", "transcription", "notes"),
            facets={"owner": "createdBy", **_CUSTOMER, **_PROJECT},
        ),
        # projects
        "project": replace(
            _project,
            plain=("description", "cancellationReason", "notes"),
            amounts=("contractValue", "budget"),
            value="contractValue",
        ),
        "project_card": _card(_project, "project_card"),
        "project_costs": Searched(amounts=("actualTotalCost",), facets=_PROJECT),
        "project_margin": Searched(plain=_NOTES, facets=_PROJECT),
        "project_competitor": Searched(plain=("competitorInfo", "notes"), facets=_PROJECT),
        "project_task": Searched(
            title=("title",),
            subtitle=("status", "dueDate"),
            strong=("milestone",),
            plain=("description", "blockingReason", "notes"),
            facets={"owner": "assignedTo", **_PROJECT, **_STATUS},
        ),
        "project_cost": Searched(
            title=("description",),
            subtitle=("supplierName", "status"),
            strong=("supplierName",),
            plain=_NOTES,
            exact=("invoiceNumber",),
            amounts=("totalNetEur", "totalGrossEur"),
            facets={**_PROJECT, **_STATUS},
            value="totalGrossEur",
        ),
        "user_task": Searched(
            title=("title",),
            subtitle=("status", "dueDate"),
            plain=("description", "notes"),
            facets={
                "owner": "assignedTo",
                "customerId": "relatedCustomerId",
                "projectId": "relatedProjectId",
                **_STATUS,
            },
        ),
        "time_entry": Searched(
            title=("taskDescription",),
            subtitle=("status", "startTime"),
            plain=("rejectionReason", "notes"),
            facets={"owner": "userId", **_PROJECT, **_STATUS},
            weight=0.8,
        ),
        "time_entry_cost": Searched(plain=_NOTES, amounts=("totalCostEur",)),
        # on the road
        "tour": replace(
            _tour,
            strong=("region", "plannedRoute[].name"),
            plain=("cancellationReason", "notes"),
        ),
        "tour_card": _tour,
        "tour_costs": Searched(plain=_NOTES, amounts=("estimatedCosts", "actualCosts")),
        "meeting": Searched(
            title=("title",),
            subtitle=("meetingType", "scheduledAt"),
            plain=("outcomeNotes", "notes"),
            facets=_CUSTOMER,
        ),
        "hotel_stay": Searched(
            title=("hotelName",),
            subtitle=("address.city", "checkInDate"),
            strong=("address.city",),
            plain=_NOTES,
            exact=("bookingReference",),
            amounts=("totalPriceEur",),
            value="totalPriceEur",
        ),
        "expense": Searched(
            title=("title",),
            subtitle=("status", "expenseDate"),
            plain=("description", "justification", "rejectionReason", "notes"),
            exact=("receiptNumber", "paymentReference"),
            amounts=("amount",),
            facets={"owner": "createdBy", **_PROJECT, **_STATUS},
            value="amount",
        ),
        "expense_notes": Searched(plain=("adminNotes", "notes")),
        "mileage_log": Searched(
            title=("purpose",),
            subtitle=("date",),
            plain=("start.address", "end.address", "overrideReason", "notes"),
            facets={"owner": "createdBy", **_PROJECT},
            weight=0.8,
        ),
        # suppliers and material
        "supplier": replace(
            _supplier,
            strong=(*_supplier.strong, "contactName", "website"),
            plain=("serviceDescription", "blacklistReason", "notes"),
            exact=("vatNumber", *_supplier.exact),
            facets={"owner": "accountManagerId", **_STATUS},
        ),
        "supplier_card": _supplier,
        "supplier_contract": Searched(
            title=("contractNumber", "title"),
            subtitle=("status", "startDate"),
            plain=("terms", "terminationReason", "notes"),
            exact=("contractNumber",),
            amounts=("contractValueEur",),
            facets={**_PROJECT, **_STATUS},
            value="contractValueEur",
        ),
        "purchase_order": Searched(
            title=("orderNumber",),
            subtitle=("status", "orderDate"),
            plain=("lineItems[].description", "terms", "cancellationReason", "rejectionReason", "notes"),
            exact=("orderNumber",),
            amounts=("totalEur", "subtotalEur"),
            facets={**_PROJECT, **_STATUS},
            value="totalEur",
        ),
        "project_subcontractor": Searched(
            title=("workPackage",),
            subtitle=("status", "startDate"),
            plain=("description", "notes"),
            amounts=("estimatedCostEur", "actualCostEur"),
            facets={**_PROJECT, **_STATUS},
            value="actualCostEur",
        ),
        "request_for_quote": Searched(
            title=("rfqNumber", "title"),
            subtitle=("status", "dueDate"),
            plain=("description", "lineItems[].description", "notes"),
            exact=("rfqNumber",),
            facets={**_PROJECT, **_STATUS},
        ),
        "supplier_communication": Searched(
            title=("subject",),
            subtitle=("communicationType", "date"),
            plain=("content", "notes"),
            facets=_PROJECT,
        ),
        "delivery": Searched(
            title=("deliveryNoteNumber",),
            subtitle=("status", "expectedDate"),
            plain=("items[].description", "damageNotes", "notes"),
            exact=("deliveryNoteNumber",),
            facets={**_PROJECT, **_STATUS},
        ),
        "supplier_invoice": Searched(
            title=("invoiceNumber",),
            subtitle=("status", "invoiceDate"),
            plain=("rejectionReason", "disputeReason", "notes"),
            exact=("invoiceNumber", "paymentReference"),
            amounts=("totalEur", "subtotalEur"),
            facets={**_PROJECT, **_STATUS},
            value="totalEur",
        ),
        "material": replace(
            _material,
            plain=("description", "storageLocation", "notes"),
            exact=("materialCode", "supplierPrices[].supplierArticleNumber"),
            amounts=("averagePrice", "lowestPrice"),
            value="averagePrice",
        ),
        "material_card": _material,
        "inventory_movement": Searched(
            title=("reason",),
            subtitle=("movementType", "movementDate"),
            strong=("fromLocation", "toLocation"),
            plain=_NOTES,
            facets=_PROJECT,
            weight=0.8,
        ),
        "project_material_requirement": Searched(
            subtitle=("status", "neededBy"),
            plain=("varianceReason", "notes"),
            facets={**_PROJECT, **_STATUS},
        ),
        # people
        "user": _user,
        "user_card": _user,
        "role": Searched(title=("name",), strong=("roleId",), plain=("description",)),
        "comment": Searched(plain=("content",), facets={"owner": "createdBy"}),
    }
)
"""Type -> what of it is searched."""

NOT_SEARCHED: Mapping[str, str] = MappingProxyType(
    {
        "meeting_card": "it has times and references, no text",
        "material_stock": "a level, which nobody looks for",
        "permission_matrix": "rules, which are read with `kompass explain`",
        "calendar_subscription": "the hash of a secret",
        "notification": "it points at a document, which is found itself",
        "rejected_change": "what was refused isn't part of the business",
        "conflict": "versions that nobody has decided about yet",
        "device": "nobody's",
        "quarantine": "nobody's",
    }
)
"""Type -> why it is not."""


def base_type(doctype: str) -> str:
    """The type that people are shown for a document of this one."""
    return BASE_OF.get(doctype, doctype)
