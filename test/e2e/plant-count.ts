/** What the API does with an upload: the file and the row. `key` is the photo's. */
const storeOnePhoto = `
import asyncio, io, json, uuid
import numpy as np
from app.celery_app import COUNT_PLANTS, celery
from app.database import get_engine
from app.models import Photo
from app.settings import get_settings
from app.storage import open_storage
from scripts.draw_photo import draw_photo
from sqlalchemy.ext.asyncio import AsyncSession

image, _ = draw_photo(np.random.default_rng(3), plants=20, size=(256, 192))
out = io.BytesIO()
image.save(out, "PNG")
photo = Photo(id=uuid.uuid4(), filename="bench.png", width=256, height=192)
key = photo.id
open_storage(get_settings()).save(str(key), out.getvalue())

async def add():
    async with AsyncSession(get_engine()) as session:
        session.add(photo)
        await session.commit()
    await get_engine().dispose()

asyncio.run(add())
`;

/** An upload with its task, and what came of it as JSON: `plants`, `device`, and `stored` from the database. */
export const countOnePhoto = `
${storeOnePhoto}
async def read():
    async with AsyncSession(get_engine()) as session:
        return (await session.get(Photo, key)).plants

result = celery.send_task(COUNT_PLANTS, args=[str(key)]).get(timeout=200)
print(json.dumps({**result, "stored": asyncio.run(read())}))
`;

/** An upload with its task, which nobody waits for; prints the photo's key. */
export const sendOnePhoto = `
${storeOnePhoto}
celery.send_task(COUNT_PLANTS, args=[str(key)])
print(key)
`;
