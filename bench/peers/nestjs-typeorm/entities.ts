// The tables as TypeORM's entities.
import { Column, DeleteDateColumn, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm'
import { sqliteFile } from '../shared.ts'

/** On SQLite the times are ISO texts; TypeORM's own form of a `datetime` would sort before them. */
const time = { type: sqliteFile === undefined ? ('timestamptz' as const) : ('text' as const) }
const nullableTime = { ...time, nullable: true }
/** A Date from PostgreSQL, an ISO text from SQLite: the same in JSON. */
type Time = Date | string

@Entity('users')
export class User {
  @PrimaryGeneratedColumn()
  id: string

  @Column()
  public_id: string

  @Column(nullableTime)
  deleted_at: Time | null

  @Column()
  role: string

  @Column()
  is_active: boolean
}

@Entity('sessions')
export class Session {
  @PrimaryGeneratedColumn()
  id: string

  @Column()
  public_id: string

  @ManyToOne(() => User)
  @JoinColumn({ name: 'user_id' })
  user: User

  @Column(time)
  expires_at: Time

  @Column(time)
  idle_expires_at: Time

  @Column(nullableTime)
  revoked_at: Time | null
}

@Entity('items')
export class Item {
  @PrimaryGeneratedColumn()
  id: string

  @Column()
  public_id: string

  // Given by the application: TypeORM would read a row again for what SQLite gave it.
  @Column(time)
  created_at: Time

  @Column(time)
  updated_at: Time

  @DeleteDateColumn(time)
  deleted_at: Time | null

  @Column()
  name: string

  @Column({ type: 'text', nullable: true })
  description: string | null

  @Column({ type: 'text' })
  name_folded: string

  @Column({ type: 'text', nullable: true })
  description_folded: string | null

  @Column({ type: 'text' })
  status: string

  @Column()
  priority: number

  @ManyToOne(() => User, { nullable: true })
  @JoinColumn({ name: 'owner_id' })
  owner: User | null
}
