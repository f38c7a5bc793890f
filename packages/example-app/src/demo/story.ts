import { backgrounded } from 'typeorm-backgrounded'
import { dataSource } from '../data-source'
import { Album } from '../entities/album'
import { Photo } from '../entities/photo'
import { upload } from '../upload'
import { check, checkIndex, checkThumbnails } from './checks'
import { heading, say } from './narration'
import { paintPictures } from './pictures'
import { nameOf, type Report } from './worker-log'

const { manager } = dataSource

/**
 * What a day in the life of an album shows about background jobs.
 * @param jobsEnd resolves with how each job so far has ended
 */
export async function tellStory(jobsEnd: () => Promise<Report[]>): Promise<void> {
  heading('Pictures are uploaded, and each commit has its thumbnails made')
  const { lake, tower, blurred } = await uploadPictures()
  await jobsEnd()

  heading('Rows change while their jobs wait')
  const oldTitle = lake.title
  await backgrounded(lake, { delay: '2s' }).caption('the first warm morning')
  lake.title = 'Sunrise over the lake'
  say('application', 'renames', `Photo#${lake.id} from "${oldTitle}" to "${lake.title}"`)
  await manager.save(lake)

  const captioning = await backgrounded(blurred, { delay: '2s' }).caption('what is this?')
  say('application', 'deletes', `Photo#${blurred.id}`)
  await manager.remove(blurred)

  say('application', 'turns', `Photo#${tower.id}`)
  tower.rotation = 90
  await manager.save(tower)

  const ends = await jobsEnd()

  heading('The worker saw the rows as they were when it came to them')
  const { captionText } = await manager.findOneByOrFail(Photo, { id: lake.id })
  say('application', 'reads', `Photo#${lake.id}: title at the call "${oldTitle}", caption "${captionText}"`)
  check(captionText === 'Sunrise over the lake: the first warm morning', `the caption is "${captionText}"`)
  checkEnds(ends, captioning.id)

  heading('The index is rebuilt')
  await Album.rebuildIndexBackgrounded()
  checkEnds(await jobsEnd(), captioning.id)

  const photos = await manager.find(Photo, { order: { id: 'ASC' } })
  for (const photo of photos) {
    say('application', 'finds', `Photo#${photo.id}, thumbnails of ${(await checkThumbnails(photo)).join(' and ')}`)
  }
  check(photos.length === 3, `the album has ${photos.length} photos instead of 3`)
  await checkIndex(photos)
}

async function uploadPictures() {
  const album = await manager.save(manager.create(Album, { title: 'Spring' }))
  const pictures = await paintPictures()
  const lake = await upload(manager, album, pictures.lake)
  const tower = await upload(manager, album, pictures.tower)
  await upload(manager, album, pictures.tulip)
  const blurred = await upload(manager, album, pictures.blurred)
  return { lake, tower, blurred }
}

/** Every job is done, but for the one whose photo is gone. */
function checkEnds(ends: readonly Report[], discardedId: string): void {
  for (const { job, msg } of ends) {
    const expected = job.id === discardedId ? 'discarded' : 'completed'
    check(msg === expected, `${nameOf(job)} is ${msg} instead of ${expected}`)
  }
}
