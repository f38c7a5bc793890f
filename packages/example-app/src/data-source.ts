import 'reflect-metadata'
import { DataSource } from 'typeorm'
import { withBackgrounded } from 'typeorm-backgrounded'
import { BullHandler } from 'typeorm-backgrounded/bull'
import { DatabaseHandler } from 'typeorm-backgrounded/database'
import { pathInAlbum } from './album-directory'
import { Album } from './entities/album'
import { Photo } from './entities/photo'
import { postgres, redis } from './servers'

const tables = { entities: [Album, Photo], synchronize: true }

/** Rows and jobs in one file. */
function onSqlite(): DataSource {
  const database = pathInAlbum('album.sqlite')
  const rows = new DataSource({ type: 'better-sqlite3', database, enableWAL: true, ...tables })
  return withBackgrounded(rows, { handler: new DatabaseHandler() })
}

/** Rows in Postgres, jobs in Redis. */
function onServers(): DataSource {
  const rows = new DataSource({ type: 'postgres', ...postgres, ...tables })
  return withBackgrounded(rows, { handler: new BullHandler({ redis: redis.url, prefix: redis.prefix }) })
}

export const dataSource = process.env.ALBUM_SERVERS ? onServers() : onSqlite()
