import { readFile } from 'node:fs/promises'
import sharp from 'sharp'
import { pathInAlbum } from '../album-directory'
import { thumbnailSizes, type Photo } from '../entities/photo'

export function check(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw new Error(otherwise)
}

/** Looks at the files themselves: each thumbnail must be there, and must be the picture, turned and scaled. */
export async function checkThumbnails(photo: Photo): Promise<string[]> {
  const picture = await sharp(photo.file).rotate(photo.rotation).toBuffer({ resolveWithObject: true })
  const { width, height } = picture.info
  return Promise.all(
    thumbnailSizes.map(async (size) => {
      const scale = size / Math.max(width, height)
      const expected = `${Math.round(width * scale)} × ${Math.round(height * scale)}`
      const thumbnail = await sharp(photo.thumbnailFile(size)).metadata()
      const actual = `${thumbnail.width} × ${thumbnail.height}`
      check(actual === expected, `a thumbnail of "${photo.title}" is ${actual} instead of ${expected}`)
      return actual
    }),
  )
}

export async function checkIndex(photos: readonly Photo[]): Promise<void> {
  const page = await readFile(pathInAlbum('index.html'), 'utf8')
  for (const photo of photos) {
    for (const size of thumbnailSizes) {
      check(page.includes(`photos/${photo.id}-${size}.jpg`), `index.html lacks a thumbnail of "${photo.title}"`)
    }
  }
}
