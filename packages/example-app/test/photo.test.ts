import { expect } from 'chai'
import sharp from 'sharp'
import { settled } from 'typeorm-backgrounded'
import { Photo, thumbnailSizes } from '../src/entities/photo'
import { upload } from '../src/upload'
import { openAlbum, type OpenAlbum } from './support/open-album'
import { picture } from './support/picture'

describe('a photo', () => {
  let open: OpenAlbum
  let photo: Photo

  beforeEach(async () => {
    open = await openAlbum()
    photo = await upload(open.dataSource.manager, open.album, await picture('Lake'))
    await settled(open.dataSource)
  })

  afterEach(() => open.close())

  it('has thumbnails once its upload is committed', async () => {
    expect(open.performed).to.deep.equal(['Photo.makeThumbnails'])
    expect(await sizesOfThumbnails()).to.deep.equal(['160x120', '640x480'])
  })

  it('has new thumbnails when it is turned', async () => {
    photo.rotation = 90
    await open.dataSource.manager.save(photo)
    await settled(open.dataSource)
    expect(await sizesOfThumbnails()).to.deep.equal(['120x160', '480x640'])
  })

  it('keeps its thumbnails when it is renamed', async () => {
    photo.title = 'Sea'
    await open.dataSource.manager.save(photo)
    await settled(open.dataSource)
    expect(open.performed).to.deep.equal(['Photo.makeThumbnails'])
  })

  it('is captioned with the title that its row has, not the one that the caller has', async () => {
    const { manager } = open.dataSource
    await manager.save(manager.merge(Photo, await reloaded(), { title: 'Sea' }))

    const receipt = await photo.captionBackgrounded('at dawn')

    expect(receipt.state).to.equal('performed')
    expect(photo.title).to.equal('Lake')
    expect((await reloaded()).captionText).to.equal('Sea: at dawn')
  })

  function sizesOfThumbnails(): Promise<string[]> {
    return Promise.all(
      thumbnailSizes.map(async (size) => {
        const { width, height } = await sharp(photo.thumbnailFile(size)).metadata()
        return `${width}x${height}`
      }),
    )
  }

  function reloaded(): Promise<Photo> {
    return open.dataSource.manager.findOneByOrFail(Photo, { id: photo.id })
  }
})
