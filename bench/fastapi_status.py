"""The equivalent status endpoint in FastAPI and SQLAlchemy (asyncio, aiomysql, uvloop): one process, as the service.

It checks the API key and validates the path and the response, as such services do. It has no limits, log or metrics.
"""

import hmac
import os
import re
import socket
from datetime import datetime
from typing import Optional

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Path
from pydantic import BaseModel
from sqlalchemy import Boolean, Column, DateTime, Integer, String, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base, sessionmaker

POOL_SIZE = 10  # as in the service
API_KEY = os.environ["API_KEY"]

engine = create_async_engine(
    re.sub(r"^mysql:", "mysql+aiomysql:", os.environ["DATABASE_URL"]), pool_size=POOL_SIZE, max_overflow=0
)
new_session = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
Base = declarative_base()
app = FastAPI()


class OAuthToken(Base):
    __tablename__ = "oauth_tokens"

    token_id = Column(String(36), primary_key=True)
    organization_id = Column(String(128))
    accounting_system = Column(String(32))
    current_key = Column(Integer)
    realm_id = Column(String(64))
    company_name = Column(String(255))
    is_active = Column(Boolean)
    deactivation_reason = Column(String(64))
    access_token_expires_at = Column(DateTime)
    refresh_token_expires_at = Column(DateTime)
    authorization_expires_at = Column(DateTime)
    last_refreshed_at = Column(DateTime)
    last_verified_at = Column(DateTime)


class Status(BaseModel):
    connected: bool
    accounting_system: Optional[str]
    realm_id: Optional[str]
    company_name: Optional[str]
    expires_at: Optional[datetime]
    is_expired: bool
    needs_reauthorization: bool
    reason: Optional[str]
    refresh_token_expires_at: Optional[datetime]
    authorization_expires_at: Optional[datetime]
    last_refreshed_at: Optional[datetime]
    last_verified_at: Optional[datetime]


async def authenticate(authorization: str = Header("")) -> None:
    if not hmac.compare_digest(authorization, f"Bearer {API_KEY}"):
        raise HTTPException(401)


async def database_session():
    async with new_session() as session:
        yield session


@app.get(
    "/api/v1/oauth/quickbooks/status/{organization_id}", response_model=Status, dependencies=[Depends(authenticate)]
)
async def status(
    organization_id: str = Path(max_length=128), session: AsyncSession = Depends(database_session)
) -> Status:
    query = select(OAuthToken).where(
        OAuthToken.organization_id == organization_id,
        OAuthToken.accounting_system == "quickbooks",
        OAuthToken.current_key == 1,
    )
    row = (await session.execute(query)).scalar_one_or_none()
    is_active = row is not None and row.is_active
    return Status(
        connected=is_active,
        accounting_system=row and row.accounting_system,
        realm_id=row and row.realm_id,
        company_name=row and row.company_name,
        expires_at=row.access_token_expires_at if is_active else None,
        is_expired=is_active and row.access_token_expires_at <= datetime.utcnow(),
        needs_reauthorization=row is not None and not is_active,
        reason=row and row.deactivation_reason,
        refresh_token_expires_at=row.refresh_token_expires_at if is_active else None,
        authorization_expires_at=row.authorization_expires_at if is_active else None,
        last_refreshed_at=row and row.last_refreshed_at,
        last_verified_at=row.last_verified_at if is_active else None,
    )


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print('{"address":{"port":%d},"msg":"listening"}' % listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
