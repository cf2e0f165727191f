"""Suppliers, and what is agreed with them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import (
    Address,
    Authored,
    Installments,
    Item,
    Part,
    ServerMade,
    Total,
    affordable,
    after,
    subtotal,
    sums,
)
from kompass.domain.customers import CompanyName, PersonName
from kompass.domain.values import (
    Balance,
    Code,
    Day,
    Email,
    Euro,
    Iban,
    Link,
    Moment,
    Number,
    Percent,
    Phone,
    Reason,
    Share,
    TaxRate,
    User,
    Website,
    broken,
    euro,
    line,
    ref,
    text,
)

SupplierType = Literal[
    "material_supplier", "service_provider", "subcontractor", "craftsman", "logistics", "mixed"
]
SupplierStatus = Literal["PendingApproval", "Active", "Inactive", "Blacklisted"]
Categories = Annotated[list[Annotated[str, line(1, 100)]], Field(min_length=1, max_length=10)]
Text = Annotated[str, text(5000)]
Title = Annotated[str, line(2, 200)]
_Mark = Annotated[Decimal, Number(Decimal(1), Decimal(5))]


class PaymentTerms(Part):
    paymentMethod: Literal["Invoice", "DirectDebit", "CreditCard", "Cash", "BankTransfer"]
    daysUntilDue: Annotated[int, Field(ge=0, le=120)]
    discountPercentage: Percent | None = None
    discountDays: Annotated[int, Field(ge=0, le=120)] | None = None


class Rating(Part):
    overall: _Mark | None = None
    quality: _Mark | None = None
    reliability: _Mark | None = None
    communication: _Mark | None = None
    priceValue: _Mark | None = None


class Supplier(Authored):
    type: Literal["supplier"]
    companyName: CompanyName
    contactName: PersonName | None = None
    email: Email
    phone: Phone
    website: Website | None = None
    vatNumber: Annotated[str, line(4, 20)] | None = None
    billingAddress: Address
    supplierType: SupplierType
    serviceCategories: Categories
    serviceDescription: Annotated[str, text(1000, 50)]
    paymentTerms: PaymentTerms | None = None
    rating: Rating | None = None
    totalOrders: Annotated[int, Field(ge=0)] | None = None
    totalSpendEur: Annotated[Decimal, euro(1_000_000_000)] | None = None
    status: SupplierStatus
    blacklistReason: Reason | None = None
    accountManagerId: User


class SupplierCard(ServerMade):
    type: Literal["supplier_card"]
    supplierId: Annotated[str, ref("supplier")]
    companyName: CompanyName | None = None
    email: Email | None = None
    phone: Phone | None = None
    billingAddress: Address | None = None
    supplierType: SupplierType | None = None
    serviceCategories: Categories | None = None
    status: SupplierStatus | None = None


class PurchaseOrder(Authored):
    """`totalEur` = subtotal + tax + shipping."""

    type: Literal["purchase_order"]
    orderNumber: Code | None = None
    supplierId: Annotated[str, ref("supplier")]
    projectId: Annotated[str, ref("project")] | None = None
    supplierContractId: Annotated[str, ref("supplier_contract")] | None = None
    status: Literal[
        "draft",
        "pending_approval",
        "approved",
        "sent_to_supplier",
        "confirmed_by_supplier",
        "partially_delivered",
        "delivered",
        "cancelled",
    ]
    lineItems: Annotated[list[Item], Field(min_length=1, max_length=50)]
    subtotalEur: Euro | None = None
    taxRate: TaxRate | None = None
    taxAmountEur: Euro | None = None
    shippingEur: Euro | None = None
    totalEur: Euro | None = None
    orderDate: Day | None = None
    expectedDeliveryDate: Day | None = None
    deliveryAddress: Address | None = None
    approvedBy: User | None = None
    approvedAt: Moment | None = None
    sentAt: Moment | None = None
    confirmedAt: Moment | None = None
    cancellationReason: Reason | None = None
    rejectionReason: Reason | None = None
    terms: Text | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        affordable(subtotal(self.lineItems), "lineItems")
        return self

    def totals(self) -> Iterator[Total]:
        net = subtotal(self.lineItems)
        yield Total("subtotalEur", self.subtotalEur, net, "the sum of lineItems")
        if self.taxAmountEur is not None:
            total = net + self.taxAmountEur + (self.shippingEur or 0)
            yield Total("totalEur", self.totalEur, total, "subtotalEur + taxAmountEur + shippingEur")


class SupplierContract(Authored):
    type: Literal["supplier_contract"]
    contractNumber: Code | None = None
    title: Title
    supplierId: Annotated[str, ref("supplier")]
    projectId: Annotated[str, ref("project")] | None = None
    contractType: Literal["framework", "project", "service_agreement", "purchase_order"]
    status: Literal["draft", "pending_approval", "active", "completed", "terminated"]
    contractValueEur: Euro
    startDate: Day
    endDate: Day | None = None
    milestones: Installments | None = None
    paymentTerms: PaymentTerms | None = None
    terms: Annotated[str, text(20_000)] | None = None
    signedPdfUrl: Link | None = None
    signedAt: Moment | None = None
    signedBy: User | None = None
    approvedBy: User | None = None
    approvedAt: Moment | None = None
    countersignedBy: User | None = None
    countersignedAt: Moment | None = None
    terminationReason: Reason | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.startDate, self.endDate, "endDate", "startDate")
        if self.milestones and sum(part.percent or 0 for part in self.milestones) != 100:
            raise broken(
                "total",
                "must have percent that are 100 together",
                "muss Werte für percent haben, die zusammen 100 ergeben",
                "milestones",
            )
        return self


class SupplierInvoice(Authored):
    """Also a credit note, which takes back another one or a part of it: its amounts are below 0."""

    type: Literal["supplier_invoice"]
    supplierId: Annotated[str, ref("supplier")]
    invoiceNumber: Code
    invoiceDate: Day
    dueDate: Day | None = None
    purchaseOrderId: Annotated[str, ref("purchase_order")] | None = None
    supplierContractId: Annotated[str, ref("supplier_contract")] | None = None
    projectId: Annotated[str, ref("project")] | None = None
    subtotalEur: Balance | None = None
    taxRate: TaxRate | None = None
    taxAmountEur: Balance | None = None
    totalEur: Balance
    status: Literal["Pending", "Approved", "Paid", "Disputed"]
    pdfUrl: Link | None = None
    payeeIban: Iban | None = None
    approvedBy: User | None = None
    approvedAt: Moment | None = None
    rejectionReason: Reason | None = None
    disputeReason: Reason | None = None
    paidAt: Moment | None = None
    paidBy: User | None = None
    paidDate: Day | None = None
    paymentReference: Annotated[str, line(5, 100)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.subtotalEur is not None and self.taxAmountEur is not None:
            sums(
                self.totalEur, self.subtotalEur + self.taxAmountEur, "totalEur", "subtotalEur + taxAmountEur"
            )
        amounts = [one for one in (self.totalEur, self.subtotalEur, self.taxAmountEur) if one is not None]
        if min(amounts) < 0 < max(amounts):
            raise broken(
                "sign",
                "and its parts must all be 0 or more, or all 0 or less, as of a credit note",
                "und die Teile müssen alle ab 0 sein, oder wie bei einer Gutschrift alle bis 0",
                "totalEur",
            )
        after(self.invoiceDate, self.dueDate, "dueDate", "invoiceDate", equal=True)
        return self


class ProjectSubcontractor(Authored):
    type: Literal["project_subcontractor"]
    projectId: Annotated[str, ref("project")]
    supplierId: Annotated[str, ref("supplier")]
    supplierContractId: Annotated[str, ref("supplier_contract")] | None = None
    workPackage: Title
    description: Text | None = None
    status: Literal["Planned", "Confirmed", "InProgress", "Completed", "Cancelled"]
    completionPercentage: Share | None = None
    startDate: Day | None = None
    endDate: Day | None = None
    estimatedCostEur: Euro | None = None
    actualCostEur: Euro | None = None
    assignedBy: User | None = None
    assignedAt: Moment | None = None
    rating: Rating | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.startDate, self.endDate, "endDate", "startDate", equal=True)
        return self


class SupplierCommunication(Authored):
    type: Literal["supplier_communication"]
    supplierId: Annotated[str, ref("supplier")]
    projectId: Annotated[str, ref("project")] | None = None
    purchaseOrderId: Annotated[str, ref("purchase_order")] | None = None
    communicationType: Literal["email", "phone", "meeting", "visit", "letter", "other"]
    date: Moment
    subject: Annotated[str, line(3, 200)]
    content: Annotated[str, text(10_000)] | None = None
    followUpDate: Day | None = None


class Quote(Part):
    """What a supplier has answered."""

    supplierId: Annotated[str, ref("supplier")]
    totalEur: Euro
    receivedAt: Moment | None = None
    validUntil: Day | None = None
    deliveryTimeDays: Annotated[int, Field(ge=0, le=1000)] | None = None
    notes: Annotated[str, text(2000)] | None = None


class Wanted(Part):
    """What is asked for, without a price."""

    description: Annotated[str, text(2000, 1)]
    materialId: Annotated[str, ref("material")] | None = None
    quantity: Annotated[Decimal, Number(Decimal(0), Decimal(1_000_000), above=True, decimals=3)]
    unit: Annotated[str, line(1, 30)] | None = None


class RequestForQuote(Authored):
    type: Literal["request_for_quote"]
    rfqNumber: Code | None = None
    title: Title
    description: Text | None = None
    projectId: Annotated[str, ref("project")] | None = None
    supplierIds: Annotated[list[Annotated[str, ref("supplier")]], Field(min_length=1, max_length=20)]
    status: Literal["draft", "sent", "answered", "awarded", "cancelled"]
    lineItems: Annotated[list[Wanted], Field(max_length=100)] | None = None
    dueDate: Day | None = None
    sentAt: Moment | None = None
    quotes: Annotated[list[Quote], Field(max_length=50)] | None = None
    selectedSupplierId: Annotated[str, ref("supplier")] | None = None


class Arrived(Part):
    """One line of a delivery."""

    description: Annotated[str, text(2000, 1)]
    materialId: Annotated[str, ref("material")] | None = None
    position: Annotated[int, Field(ge=1, le=1000)] | None = None
    quantity: Annotated[Decimal, Number(Decimal(0), Decimal(1_000_000), decimals=3)]
    unit: Annotated[str, line(1, 30)] | None = None
    accepted: bool | None = None


class Delivery(Authored):
    type: Literal["delivery"]
    purchaseOrderId: Annotated[str, ref("purchase_order")]
    supplierId: Annotated[str, ref("supplier")] | None = None
    projectId: Annotated[str, ref("project")] | None = None
    locationId: Annotated[str, ref("location")] | None = None
    deliveryNoteNumber: Code | None = None
    status: Literal["ordered", "in_transit", "delivered", "delayed", "cancelled"]
    expectedDate: Day | None = None
    deliveredAt: Moment | None = None
    receivedBy: User | None = None
    items: Annotated[list[Arrived], Field(max_length=100)] | None = None
    damageNotes: Annotated[str, text(2000)] | None = None
