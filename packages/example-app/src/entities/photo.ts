import sharp from 'sharp'
import { Column, Entity, ManyToOne, PrimaryGeneratedColumn } from 'typeorm'
import { AfterCommitBackgrounded, Backgrounded, currentJob, type InBackground } from 'typeorm-backgrounded'
import { pathInAlbum } from '../album-directory'
import { Album } from './album'

/** The longer side of each thumbnail, in pixels. */
export const thumbnailSizes = [160, 640]

@Entity()
export class Photo {
  @PrimaryGeneratedColumn()
  id!: number

  @Column()
  title!: string

  @Column({ type: 'text', nullable: true })
  captionText!: string | null

  /** Degrees clockwise, a multiple of 90. */
  @Column({ default: 0 })
  rotation!: number

  @ManyToOne(() => Album, (album) => album.photos, { nullable: false, onDelete: 'CASCADE' })
  album!: Album

  get file(): string {
    return pathInAlbum('photos', `${this.id}.jpg`)
  }

  thumbnailFile(size: number): string {
    return pathInAlbum('photos', `${this.id}-${size}.jpg`)
  }

  /** After every upload, and again when somebody turns the picture. */
  @AfterCommitBackgrounded({
    on: ['insert', 'update'],
    when: (_, { type, updatedColumns }) => type === 'insert' || updatedColumns.includes('rotation'),
  })
  async makeThumbnails(): Promise<void> {
    const picture = sharp(this.file).rotate(this.rotation)
    for (const size of thumbnailSizes) {
      await picture.clone().resize(size, size, { fit: 'inside' }).jpeg().toFile(this.thumbnailFile(size))
    }
  }
  declare makeThumbnailsBackgrounded: InBackground<Photo['makeThumbnails']>

  @Backgrounded()
  async caption(text: string): Promise<void> {
    this.captionText = `${this.title}: ${text}`
    await currentJob().manager.save(this)
  }
  declare captionBackgrounded: InBackground<Photo['caption']>
}
