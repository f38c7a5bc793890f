import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataSource } from 'typeorm'
import { SynchronousHandler, backgroundedEvents, withBackgrounded } from 'typeorm-backgrounded'
import { Album } from '../../src/entities/album'
import { Photo } from '../../src/entities/photo'

export interface OpenAlbum {
  readonly dataSource: DataSource
  readonly album: Album
  /** Methods that have run as jobs, in order. */
  readonly performed: readonly string[]
  close(): Promise<void>
}

/** An album of the test's own: a database in memory, a directory for its files, and jobs that run at once. */
export async function openAlbum(): Promise<OpenAlbum> {
  const directory = await mkdtemp(join(tmpdir(), 'album-'))
  process.env.ALBUM_DIRECTORY = directory
  const dataSource = withBackgrounded(
    new DataSource({ type: 'better-sqlite3', database: ':memory:', synchronize: true, entities: [Album, Photo] }),
    { handler: new SynchronousHandler() },
  )
  await dataSource.initialize()
  const performed: string[] = []
  backgroundedEvents(dataSource).on('completed', ({ job }) => performed.push(`${job.entity}.${job.method}`))
  const album = await dataSource.manager.save(dataSource.manager.create(Album, { title: 'Tests & trials' }))
  const close = async () => {
    await dataSource.destroy()
    await rm(directory, { recursive: true })
  }
  return { dataSource, album, performed, close }
}
