import { basename } from 'node:path'
import type { Album } from './entities/album'
import { thumbnailSizes, type Photo } from './entities/photo'

export function indexPage(albums: readonly Album[]): string {
  return `<!doctype html>
<meta charset="utf-8">
<title>Photo albums</title>
<style>body { font-family: sans-serif; margin: 2rem } figure { display: inline-block; margin: 0.5rem }</style>
${albums.map(section).join('\n')}
`
}

function section({ title, photos }: Album): string {
  return `<h1>${escaped(title)}</h1>\n${photos.map(figure).join('\n')}`
}

function figure(photo: Photo): string {
  const [small, large] = thumbnailSizes.map((size) => `photos/${basename(photo.thumbnailFile(size))}`)
  const text = escaped(photo.captionText ?? photo.title)
  return `<figure><a href="${large}"><img src="${small}" alt="${text}"></a><figcaption>${text}</figcaption></figure>`
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
