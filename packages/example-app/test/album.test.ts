import { expect } from 'chai'
import { readFile } from 'node:fs/promises'
import { pathInAlbum } from '../src/album-directory'
import { Album } from '../src/entities/album'
import { upload } from '../src/upload'
import { openAlbum, type OpenAlbum } from './support/open-album'
import { picture } from './support/picture'

describe('the index of all albums', () => {
  let open: OpenAlbum

  beforeEach(async () => {
    open = await openAlbum()
  })

  afterEach(() => open.close())

  it('shows the thumbnail of every photo', async () => {
    const { manager } = open.dataSource
    const lake = await upload(manager, open.album, await picture('Lake'))
    const tower = await upload(manager, open.album, await picture('Tower <1900>'))

    await Album.rebuildIndexBackgrounded()

    const page = await readFile(pathInAlbum('index.html'), 'utf8')
    expect(page).to.include(`src="photos/${lake.id}-160.jpg" alt="Lake"`)
    expect(page).to.include(`src="photos/${tower.id}-160.jpg" alt="Tower &#60;1900&#62;"`)
    expect(page).to.include('<h1>Tests &#38; trials</h1>')
  })
})
