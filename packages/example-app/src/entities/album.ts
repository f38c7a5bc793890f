import { writeFile } from 'node:fs/promises'
import { Column, Entity, OneToMany, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, currentJob, type InBackground } from 'typeorm-backgrounded'
import { pathInAlbum } from '../album-directory'
import { indexPage } from '../index-page'
import { Photo } from './photo'

@Entity()
export class Album {
  @PrimaryGeneratedColumn()
  id!: number

  @Column()
  title!: string

  @OneToMany(() => Photo, (photo) => photo.album)
  photos!: Photo[]

  @Backgrounded()
  static async rebuildIndex(): Promise<void> {
    const albums = await currentJob().manager.find(Album, {
      relations: { photos: true },
      order: { title: 'ASC', photos: { id: 'ASC' } },
    })
    await writeFile(pathInAlbum('index.html'), indexPage(albums))
  }
  declare static rebuildIndexBackgrounded: InBackground<typeof Album.rebuildIndex>
}
