import 'reflect-metadata'
import { DataSource } from 'typeorm'
import { withBackgrounded } from 'typeorm-backgrounded'
import { DatabaseHandler } from 'typeorm-backgrounded/database'
import { pathInAlbum } from './album-directory'
import { Album } from './entities/album'
import { Photo } from './entities/photo'

export const dataSource = withBackgrounded(
  new DataSource({
    type: 'better-sqlite3',
    database: pathInAlbum('album.sqlite'),
    enableWAL: true,
    synchronize: true,
    entities: [Album, Photo],
  }),
  { handler: new DatabaseHandler() },
)
