// The resource, as Nest has it: a guard, the data it takes, a service and a controller.
import { randomUUID } from 'node:crypto'
import {
  Body,
  Controller,
  Get,
  Injectable,
  NotFoundException,
  Param,
  ParseUUIDPipe,
  Post,
  Query,
  Req,
  Res,
  UnauthorizedException,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common'
import { JwtService } from '@nestjs/jwt'
import { InjectRepository } from '@nestjs/typeorm'
import { Transform, Type } from 'class-transformer'
import { IsIn, IsInt, IsOptional, IsString, Length, Max, MaxLength, Min } from 'class-validator'
import { Repository } from 'typeorm'
import { accessTokens, bearerToken, folded, itemStatuses, paginate, success } from '../shared.ts'
import { Item, Session, User } from './entities.ts'

interface ApiRequest {
  headers: { authorization?: string }
  actor: User
}

interface Token {
  header: { typ?: string }
  payload: { sub: string; sid: string }
}

/** Verifies the token, and reads its session and user. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly jwt: JwtService,
    @InjectRepository(Session) private readonly sessions: Repository<Session>,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<ApiRequest>()
    const { sid, sub } = await this.verify(bearerToken(request.headers.authorization) ?? '')
    const now = new Date().toISOString()
    const session = await this.sessions
      .createQueryBuilder('session')
      .innerJoin('session.user', 'user')
      .select(['session.id', 'user.id', 'user.public_id', 'user.role'])
      .where('session.public_id = :sid', { sid })
      .andWhere('session.revoked_at is null')
      .andWhere('session.expires_at > :now and session.idle_expires_at > :now', { now })
      .andWhere('user.public_id = :sub and user.is_active = true and user.deleted_at is null', { sub })
      .getOne()
    if (!session) throw new UnauthorizedException('The session has ended')
    request.actor = session.user
    return true
  }

  private async verify(token: string) {
    const read = await this.jwt.verifyAsync<Token>(token, { complete: true }).catch(() => undefined)
    if (read?.header.typ !== accessTokens.typ) throw new UnauthorizedException('The access token is not valid')
    return read.payload
  }
}

export class ListItems {
  @Type(() => Number)
  @IsInt()
  @Min(1)
  page = 1

  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(100)
  per_page = 20
}

export class NewItem {
  @Transform(({ value }) => (typeof value === 'string' ? value.trim() : value))
  @IsString()
  @Length(1, 100)
  name: string

  @IsOptional()
  @IsString()
  @MaxLength(10_000)
  description: string | null = null

  @IsIn(itemStatuses)
  status: string = 'draft'

  @IsInt()
  @Min(1)
  @Max(5)
  priority: number = 1
}

@Injectable()
export class ItemsService {
  constructor(@InjectRepository(Item) private readonly items: Repository<Item>) {}

  async list(page: ListItems) {
    const [items, total] = await Promise.all([
      // `limit`, not `take`: of the one owner no rows come twice, and `take` would ask for the ids first.
      this.withOwner()
        .orderBy('item.created_at', 'DESC')
        .addOrderBy('item.id', 'DESC')
        .limit(page.per_page)
        .offset((page.page - 1) * page.per_page)
        .getMany(),
      this.items.count(),
    ])
    return { items: items.map(view), pagination: paginate(page, total) }
  }

  async get(publicId: string) {
    const item = await this.withOwner().where('item.public_id = :publicId', { publicId }).getOne()
    if (!item) throw new NotFoundException('There is no such item')
    return view(item)
  }

  async create(owner: User, fields: NewItem) {
    const now = new Date().toISOString()
    const item = this.items.create({
      ...fields,
      ...folded(fields),
      public_id: randomUUID(),
      created_at: now,
      updated_at: now,
      owner,
    })
    await this.items.insert(item)
    return view(item)
  }

  /** Live items: the column of the deletion sees to that. */
  private withOwner() {
    return this.items.createQueryBuilder('item').leftJoin('item.owner', 'owner').select(columns)
  }
}

const columns = [
  ...['id', 'public_id', 'name', 'description', 'status', 'priority', 'created_at', 'updated_at'].map(
    (name) => `item.${name}`,
  ),
  'owner.id',
  'owner.public_id',
]

const view = ({ public_id, name, description, status, priority, owner, created_at, updated_at }: Item) => ({
  public_id,
  name,
  description,
  status,
  priority,
  owner_id: owner?.public_id ?? null,
  created_at,
  updated_at,
})

@Controller('api/v1/items')
export class ItemsController {
  constructor(private readonly items: ItemsService) {}

  @Get()
  async list(@Query() query: ListItems) {
    return success(await this.items.list(query))
  }

  @Get(':public_id')
  async get(@Param('public_id', ParseUUIDPipe) publicId: string) {
    return success(await this.items.get(publicId))
  }

  @Post()
  @UseGuards(AuthGuard)
  async create(
    @Req() request: ApiRequest,
    @Body() body: NewItem,
    @Res({ passthrough: true }) reply: { header(name: string, value: string): unknown },
  ) {
    const item = await this.items.create(request.actor, body)
    reply.header('location', `/api/v1/items/${item.public_id}`)
    return success(item)
  }
}
