"""Material, how it moves, and what projects need of it."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import Authored, Part, ServerMade, after, needed
from kompass.domain.values import Code, Day, Euro, Number, Quantity, Reason, broken, line, ref, text

Unit = Literal[
    "piece",
    "square_meter",
    "linear_meter",
    "cubic_meter",
    "kilogram",
    "liter",
    "package",
    "set",
    "hour",
]
MaterialStatus = Literal["Active", "Discontinued", "OutOfStock"]
Stock = Annotated[Decimal, Number(Decimal(-10_000_000), Decimal(10_000_000), decimals=3)]
_Level = Annotated[Decimal, Number(Decimal(0), Decimal(10_000_000), decimals=3)]
_Name = Annotated[str, line(5, 200)]
_Description = Annotated[str, text(1000, 20)]
_Category = Annotated[str, line(1, 100)]


class SupplierPrice(Part):
    supplierId: Annotated[str, ref("supplier")]
    unitPriceEur: Euro
    minimumQuantity: Quantity | None = None
    supplierArticleNumber: Annotated[str, line(1, 100)] | None = None
    leadTimeDays: Annotated[int, Field(ge=0, le=1000)] | None = None
    validFrom: Day | None = None
    validUntil: Day | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.validFrom, self.validUntil, "validUntil", "validFrom", equal=True)
        return self


class Material(Authored):
    type: Literal["material"]
    materialCode: Code | None = None
    materialName: _Name
    description: _Description
    category: _Category | None = None
    unit: Unit
    supplierPrices: Annotated[list[SupplierPrice], Field(min_length=1, max_length=50)]
    averagePrice: Euro | None = None
    lowestPrice: Euro | None = None
    minimumStock: _Level | None = None
    maximumStock: _Level | None = None
    reorderQuantity: _Level | None = None
    storageLocation: Annotated[str, line(0, 100)] | None = None
    status: MaterialStatus

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (
            self.minimumStock is not None
            and self.maximumStock is not None
            and self.maximumStock < self.minimumStock
        ):
            raise broken(
                "order",
                "must not be below minimumStock",
                "darf nicht unter minimumStock liegen",
                "maximumStock",
            )
        return self


class MaterialCard(ServerMade):
    type: Literal["material_card"]
    materialId: Annotated[str, ref("material")]
    materialCode: Code | None = None
    materialName: _Name | None = None
    description: _Description | None = None
    category: _Category | None = None
    unit: Unit | None = None
    status: MaterialStatus | None = None


class MaterialStock(ServerMade):
    type: Literal["material_stock"]
    materialId: Annotated[str, ref("material")]
    currentStock: Stock | None = None


_OUT = frozenset({"project_allocation", "return_to_supplier", "write_off"})
_UNPLANNED = frozenset({"inventory_adjustment", "write_off"})


class InventoryMovement(Authored):
    """What comes has a positive quantity, what goes a negative one."""

    type: Literal["inventory_movement"]
    materialId: Annotated[str, ref("material")]
    movementType: Literal[
        "purchase_receipt",
        "project_allocation",
        "return_to_supplier",
        "inventory_adjustment",
        "write_off",
        "transfer",
    ]
    quantity: Annotated[Decimal, Number(Decimal(-1_000_000), Decimal(1_000_000), decimals=3)]
    unitPriceEur: Euro | None = None
    movementDate: Day | None = None
    projectId: Annotated[str, ref("project")] | None = None
    purchaseOrderId: Annotated[str, ref("purchase_order")] | None = None
    deliveryId: Annotated[str, ref("delivery")] | None = None
    fromLocation: Annotated[str, line(0, 100)] | None = None
    toLocation: Annotated[str, line(0, 100)] | None = None
    reason: Reason | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.quantity == 0:
            raise broken("range", "must not be 0", "darf nicht 0 sein", "quantity")
        kind = self.movementType
        if kind == "purchase_receipt" and self.quantity < 0:
            raise broken(
                "range",
                "must be above 0 for a purchase_receipt",
                "muss bei purchase_receipt größer als 0 sein",
                "quantity",
            )
        if kind in _OUT and self.quantity > 0:
            raise broken(
                "range", f"must be below 0 for a {kind}", f"muss bei {kind} kleiner als 0 sein", "quantity"
            )
        if kind in _UNPLANNED:
            needed(self.reason, "reason", f"for a {kind}", f"bei {kind}")
        if kind == "project_allocation":
            needed(self.projectId, "projectId", "for a project_allocation", "bei project_allocation")
        return self


class ProjectMaterialRequirement(Authored):
    type: Literal["project_material_requirement"]
    projectId: Annotated[str, ref("project")]
    materialId: Annotated[str, ref("material")]
    supplierId: Annotated[str, ref("supplier")] | None = None
    purchaseOrderId: Annotated[str, ref("purchase_order")] | None = None
    status: Literal["estimated", "confirmed", "ordered", "delivered", "installed", "returned"]
    deliveryStatus: (
        Literal["not_ordered", "ordered", "in_transit", "delivered", "delayed", "cancelled"] | None
    ) = None
    estimatedQuantity: Quantity
    confirmedQuantity: Quantity | None = None
    orderedQuantity: Quantity | None = None
    deliveredQuantity: Stock | None = None
    unit: Unit | None = None
    estimatedUnitPriceEur: Euro | None = None
    actualUnitPriceEur: Euro | None = None
    estimatedTotalCostEur: Euro | None = None
    actualTotalCostEur: Euro | None = None
    neededBy: Day | None = None
    varianceReason: Annotated[str, text(2000)] | None = None
    reviewRequired: bool | None = None
