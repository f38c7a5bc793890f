import { mkdir, readdir, rm } from 'node:fs/promises'
import { pathInAlbum } from '../album-directory'

/** Empties the directory of the last run; refuses to touch one that holds anything else. */
export async function makeFreshDirectory(): Promise<void> {
  await mkdir(pathInAlbum(), { recursive: true })
  const names = await readdir(pathInAlbum())
  const strange = names.filter((name) => !/^(album\.sqlite.*|photos|index\.html)$/.test(name))
  if (strange.length > 0 || (names.length > 0 && !names.includes('album.sqlite'))) {
    throw new Error(`${pathInAlbum()} is not an album of this example: set ALBUM_DIRECTORY to an empty directory`)
  }
  for (const name of names) await rm(pathInAlbum(name), { recursive: true })
}
