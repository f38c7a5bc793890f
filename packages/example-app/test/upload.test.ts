import { expect } from 'chai'
import { rejects } from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { settled } from 'typeorm-backgrounded'
import { pathInAlbum } from '../src/album-directory'
import { Photo } from '../src/entities/photo'
import { upload } from '../src/upload'
import { openAlbum, type OpenAlbum } from './support/open-album'
import { picture } from './support/picture'

describe('an upload', () => {
  let open: OpenAlbum

  beforeEach(async () => {
    open = await openAlbum()
  })

  afterEach(() => open.close())

  it('makes no job when its file cannot be written', async () => {
    await writeFile(pathInAlbum('photos'), 'a file where the directory should be')
    await rejects(upload(open.dataSource.manager, open.album, await picture('Lake')), { code: 'EEXIST' })
    await expectNothing()
  })

  it('makes no job when the transaction around it rolls back', async () => {
    const lake = await picture('Lake')
    const uploadAndFail = open.dataSource.transaction(async (manager) => {
      await upload(manager, open.album, lake)
      throw new Error('changed my mind')
    })
    await rejects(uploadAndFail, { message: 'changed my mind' })
    await expectNothing()
  })

  it('refuses what is no picture', async () => {
    const text = { title: 'Notes', image: Buffer.from('no picture at all') }
    await rejects(upload(open.dataSource.manager, open.album, text), /unsupported image format/)
    await expectNothing()
  })

  async function expectNothing(): Promise<void> {
    await settled(open.dataSource)
    expect(open.performed).to.deep.equal([])
    expect(await open.dataSource.manager.count(Photo)).to.equal(0)
  }
})
