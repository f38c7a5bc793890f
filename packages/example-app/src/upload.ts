import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import sharp from 'sharp'
import type { EntityManager } from 'typeorm'
import type { Album } from './entities/album'
import { Photo } from './entities/photo'

export interface Picture {
  readonly title: string
  /** In any format that sharp reads. */
  readonly image: Buffer
}

/**
 * Adds a picture to an album. The row, the file and the job that makes the thumbnails come together: when the file
 * cannot be written, there is no row and no job either.
 */
export async function upload(manager: EntityManager, album: Album, { title, image }: Picture): Promise<Photo> {
  const jpeg = await sharp(image).autoOrient().jpeg().toBuffer()
  return manager.transaction(async (transaction) => {
    const photo = await transaction.save(transaction.create(Photo, { title, album }))
    await mkdir(dirname(photo.file), { recursive: true })
    await writeFile(photo.file, jpeg)
    return photo
  })
}
