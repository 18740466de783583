"""The peer of a cold start: queue and accept as most would write them, with FastAPI, Mangum and SQLAlchemy's ORM.

It leaves out what ours does besides (logging, metrics, problem documents, cursors), which favours it.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request
from mangum import Mangum
from pydantic import BaseModel
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"), pool_pre_ping=True)
Connections = sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    """The tables of the product, as far as these two operations go."""


class Mechanic(Base):
    """Who answers."""

    __tablename__ = "mechanics"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    workshop_id: Mapped[UUID | None]
    status: Mapped[str]


class Intake(Base):
    """What the customer asked for."""

    __tablename__ = "intakes"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    session_type: Mapped[str]
    plan_code: Mapped[str]
    customer_name: Mapped[str]
    vehicle: Mapped[dict[str, Any]] = mapped_column(JSONB)
    concern: Mapped[str]


class Consultation(Base):
    """One session."""

    __tablename__ = "sessions"
    id: Mapped[UUID] = mapped_column(ForeignKey("intakes.id"), primary_key=True)
    status: Mapped[str]
    mechanic_id: Mapped[UUID | None]
    intake: Mapped[Intake] = relationship()


class Assignment(Base):
    """One attempt to give a session to a mechanic."""

    __tablename__ = "session_assignments"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id"))
    status: Mapped[str]
    mechanic_id: Mapped[UUID | None]
    workshop_id: Mapped[UUID | None]
    urgent: Mapped[bool]
    available_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    offer_expires_at: Mapped[datetime | None]
    consultation: Mapped[Consultation] = relationship()


class Listed(BaseModel):
    """One request in the queue."""

    assignmentId: UUID  # noqa: N815 (the wire's spelling)
    sessionId: UUID  # noqa: N815
    status: str
    sessionType: str  # noqa: N815
    plan: str
    customerName: str  # noqa: N815
    vehicleSummary: str  # noqa: N815
    concern: str
    urgent: bool
    queuedAt: datetime | None  # noqa: N815
    offerExpiresAt: datetime | None  # noqa: N815


class Queue(BaseModel):
    """One page of the queue."""

    assignments: list[Listed]


class Accepted(BaseModel):
    """The session is this mechanic's."""

    assignmentId: UUID  # noqa: N815
    sessionId: UUID  # noqa: N815
    sessionStatus: str  # noqa: N815


def database() -> Iterator[Session]:
    """A session of SQLAlchemy per request."""
    with Connections() as session:
        yield session


def mechanic(request: Request, db: Annotated[Session, Depends(database)]) -> Mechanic:
    """Who calls, from the authorizer's claims."""
    claims = request.scope["aws.event"]["requestContext"]["authorizer"]["jwt"]["claims"]
    found = db.scalar(select(Mechanic).where(Mechanic.user_id == UUID(claims["sub"])))
    if found is None or found.status != "active":
        raise HTTPException(403, "mechanic-not-active")
    return found


@app.get("/api/mechanic/queue")
def queue(
    db: Annotated[Session, Depends(database)], caller: Annotated[Mechanic, Depends(mechanic)], limit: int = 20
) -> Queue:
    """What this mechanic may accept, urgent first, then longest waiting."""
    waiting = db.scalars(
        select(Assignment)
        .where(Assignment.status == "queued", Assignment.available_at <= datetime.now(UTC))
        .where((Assignment.workshop_id.is_(None)) | (Assignment.workshop_id == caller.workshop_id))
        .options(joinedload(Assignment.consultation).joinedload(Consultation.intake))
        .order_by(Assignment.urgent.desc(), Assignment.queued_at, Assignment.id)
        .limit(limit)
    )
    return Queue(assignments=[_listed(assignment) for assignment in waiting])


@app.post("/api/mechanic/assignments/{assignment_id}/accept")
def accept(
    assignment_id: UUID, db: Annotated[Session, Depends(database)], caller: Annotated[Mechanic, Depends(mechanic)]
) -> Accepted:
    """Give the session of this assignment to this mechanic."""
    assignment = db.get(Assignment, assignment_id)
    if assignment is None:
        raise HTTPException(404, "assignment-not-found")
    consultation = db.get_one(Consultation, assignment.session_id, with_for_update=True)
    db.refresh(assignment)
    if consultation.status != "pending" or assignment.status != "queued":
        raise HTTPException(409, "assignment-unavailable")
    consultation.status = "waiting"
    consultation.mechanic_id = caller.id
    answer = Accepted(assignmentId=assignment_id, sessionId=consultation.id, sessionStatus="waiting")
    db.commit()
    return answer


def _listed(assignment: Assignment) -> Listed:
    intake = assignment.consultation.intake
    return Listed(
        assignmentId=assignment.id,
        sessionId=assignment.session_id,
        status=assignment.status,
        sessionType=intake.session_type,
        plan=intake.plan_code,
        customerName=intake.customer_name,
        vehicleSummary=f"{intake.vehicle['year']} {intake.vehicle['make']} {intake.vehicle['model']}",
        concern=intake.concern,
        urgent=assignment.urgent,
        queuedAt=assignment.queued_at,
        offerExpiresAt=assignment.offer_expires_at,
    )


handler = Mangum(app, lifespan="off")
