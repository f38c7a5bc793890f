import sharp from 'sharp'
import type { Picture } from '../../src/upload'

/** 800 × 600 pixels of one colour. */
export async function picture(title: string): Promise<Picture> {
  const plain = sharp({ create: { width: 800, height: 600, channels: 3, background: 'teal' } })
  return { title, image: await plain.png().toBuffer() }
}
