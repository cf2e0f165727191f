"""Which model a type of document has, and what people call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from kompass.domain import (
    customers,
    invoices,
    materials,
    offers,
    people,
    projects,
    road,
    sales,
    supply,
    system,
    time_and_cost,
    work,
)
from kompass.domain.base import Document
from kompass.domain.values import Ref

_FAMILIES = (
    customers,
    sales,
    offers,
    projects,
    work,
    time_and_cost,
    road,
    supply,
    materials,
    invoices,
    people,
    system,
)


def _found() -> Iterator[tuple[str, type[Document]]]:
    for family in _FAMILIES:
        for model in vars(family).values():
            if not isinstance(model, type) or model.__module__ != family.__name__:
                continue
            if issubclass(model, Document):
                yield get_args(model.__annotations__["type"])[0], model


MODELS: Mapping[str, type[Document]] = MappingProxyType(dict(_found()))
"""Type of document -> its model."""


@cache
def references(doctype: str) -> Mapping[str, tuple[str, ...]]:
    """Where a document of that type names others: path -> the types they may be of, none meaning any.

    A path is like `customerId` or `supplierPrices[].supplierId`.
    """
    return MappingProxyType(dict(_references(MODELS[doctype], "")))


def _references(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        for marker in field.metadata:
            if isinstance(marker, Ref):
                yield path, marker.targets
        yield from _inside(field.annotation, path)


def _inside(annotation: Any, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _references(annotation, f"{path}.")
        return
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        for marker in arguments[1:]:
            if isinstance(marker, Ref):
                yield path, marker.targets
        yield from _inside(arguments[0], path)
        return
    for argument in arguments:
        yield from _inside(argument, f"{path}[]" if get_origin(annotation) is list else path)


LABELS: Mapping[str, str] = MappingProxyType(
    {
        "customer": "Kunde",
        "customer_card": "Kundenkarte",
        "customer_finance": "Zahlungsdaten des Kunden",
        "customer_visit": "Besuchsdaten des Kunden",
        "location": "Standort",
        "contact": "Ansprechpartner",
        "lead": "Interessent",
        "opportunity": "Verkaufschance",
        "opportunity_card": "Karte der Verkaufschance",
        "offer": "Angebot",
        "offer_margin": "Marge des Angebots",
        "contract": "Vertrag",
        "invoice": "Rechnung",
        "invoice_amount": "Rechnungsbeträge",
        "invoice_card": "Rechnungskarte",
        "activity": "Aktivität",
        "protocol": "Protokoll",
        "project": "Projekt",
        "project_card": "Projektkarte",
        "project_costs": "Istkosten des Projekts",
        "project_margin": "Marge des Projekts",
        "project_competitor": "Wettbewerb beim Projekt",
        "project_task": "Projektaufgabe",
        "project_cost": "Projektkosten",
        "user_task": "Aufgabe",
        "time_entry": "Zeiteintrag",
        "time_entry_cost": "Kosten des Zeiteintrags",
        "tour": "Tour",
        "tour_card": "Tourkarte",
        "tour_costs": "Kosten der Tour",
        "meeting": "Termin",
        "meeting_card": "Terminkarte",
        "hotel_stay": "Übernachtung",
        "expense": "Spesenbeleg",
        "expense_notes": "Vermerk zum Spesenbeleg",
        "mileage_log": "Fahrt",
        "supplier": "Lieferant",
        "supplier_card": "Lieferantenkarte",
        "supplier_contract": "Lieferantenvertrag",
        "purchase_order": "Bestellung",
        "project_subcontractor": "Subunternehmer",
        "request_for_quote": "Preisanfrage",
        "supplier_communication": "Kontakt mit dem Lieferanten",
        "delivery": "Lieferung",
        "supplier_invoice": "Lieferantenrechnung",
        "material": "Material",
        "material_card": "Materialkarte",
        "material_stock": "Lagerbestand",
        "inventory_movement": "Lagerbewegung",
        "project_material_requirement": "Materialbedarf",
        "user": "Benutzer",
        "user_card": "Benutzerkarte",
        "role": "Rolle",
        "permission_matrix": "Rechtematrix",
        "calendar_subscription": "Kalenderabonnement",
        "comment": "Kommentar",
        "notification": "Benachrichtigung",
        "rejected_change": "Abgelehnte Änderung",
        "conflict": "Konflikt",
        "device": "Gerät",
        "quarantine": "Quarantäne",
    }
)
"""Type of document -> its name in German."""
