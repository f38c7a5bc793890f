import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { pathInAlbum } from '../album-directory'

/** Says that a directory is ours, also where the rows are in Postgres. */
const MARK = '.photo-album'

/** Empties the directory of the last run; refuses to touch one that holds anything else. */
export async function makeFreshDirectory(): Promise<void> {
  await mkdir(pathInAlbum(), { recursive: true })
  const names = await readdir(pathInAlbum())
  const strange = names.filter((name) => name !== MARK && !/^(album\.sqlite.*|photos|index\.html)$/.test(name))
  const isOurs = names.includes(MARK) || names.includes('album.sqlite')
  if (strange.length > 0 || (names.length > 0 && !isOurs)) {
    throw new Error(`${pathInAlbum()} is not an album of this example: set ALBUM_DIRECTORY to an empty directory`)
  }
  for (const name of names.filter((name) => name !== MARK)) await rm(pathInAlbum(name), { recursive: true })
  await writeFile(pathInAlbum(MARK), '')
}
