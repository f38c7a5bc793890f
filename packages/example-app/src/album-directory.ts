import { join, resolve } from 'node:path'

/** Where the pictures, the index and the database file are: the same place for the application and its workers. */
export function pathInAlbum(...names: string[]): string {
  const directory = process.env.ALBUM_DIRECTORY ?? join(__dirname, '..', '.tmp', 'album')
  return resolve(directory, ...names)
}
