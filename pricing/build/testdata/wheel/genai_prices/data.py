"""A sample of the package's data, in its format."""

import datetime
from decimal import Decimal

from .types import *

__all__ = ('providers',)

providers: list[Provider] = [
    Provider(
        id='azure',
        name='Microsoft Azure',
        api_pattern='(https?://)?([^.]*\\.)?(?:openai\\.azure\\.com|azure-api\\.net)',
        fallback_model_providers=['openai'],
        models=[
            ModelInfo(
                id='o3',
                match=ClauseOr(or_=[ClauseEquals(equals='o3'), ClauseContains(contains='o3-')]),
                prices=ModelPrice(input_mtok=Decimal('3'), output_mtok=Decimal('9')),
            ),
            ModelInfo(id='ada', match=ClauseEquals(equals='ada'), prices=ModelPrice(input_mtok=Decimal('0.1'))),
        ],
    ),
    Provider(
        id='deepseek',
        price_comments='It\'s "peak" by day.\n',
        models=[
            ModelInfo(
                id='deepseek-flash',
                match=ClauseStartsWith(starts_with='deepseek-flash'),
                prices=[
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('0.14'), output_mtok=Decimal('0.28'))),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 8, 7)),
                        prices=ModelPrice(input_mtok=Decimal('0.15'), output_mtok=Decimal('0.6')),
                    ),
                    ConditionalPrice(
                        constraint=TimeOfDateConstraint(
                            start_time=datetime.time(1, 0, tzinfo=datetime.UTC),
                            end_time=datetime.time(16, 30, tzinfo=datetime.UTC),
                        ),
                        prices=ModelPrice(input_mtok=Decimal('0.30'), output_mtok=Decimal('1.2')),
                    ),
                ],
            ),
            ModelInfo(
                id='deepseek-chat',
                match=ClauseEquals(equals='deepseek-chat'),
                prices=ModelPrice(input_mtok=Decimal('0.1'), output_mtok=Decimal('0.1')),
            ),
        ],
    ),
    Provider(
        id='openai',
        extractors=[
            UsageExtractor(
                root='usage',
                mappings=[UsageExtractorMapping(path=['a', 'b'], dest='input_tokens', required=True)],
            )
        ],
        models=[
            ModelInfo(
                id='gpt-4o',
                match=ClauseOr(
                    or_=[
                        ClauseEquals(equals='gpt-4o'),
                        ClauseEquals(equals='gpt-4o-2024-08-06'),
                        ClauseEquals(equals='openai/gpt-4o'),
                        ClauseStartsWith(starts_with='gpt-4o-20241120-'),
                        ClauseRegex(regex='^gpt-4o-\\d{4}$'),
                        ClauseAnd(and_=[ClauseStartsWith(starts_with='x'), ClauseEndsWith(ends_with='y')]),
                    ]
                ),
                prices=ModelPrice(
                    input_mtok=Decimal('2.50'),
                    cache_read_mtok=Decimal('1.25'),
                    output_mtok=Decimal('10'),
                    web_searches_kcount=Decimal('10'),
                ),
                price_variants=[
                    PriceVariant(when={'batch': 'true'}, prices=ModelPrice(input_mtok=Decimal('1.25'))),
                    PriceVariant(when={'service_tier': 'default'}, prices=ModelPrice()),
                    PriceVariant(
                        when={'service_tier': 'priority'},
                        prices=ModelPrice(
                            input_mtok=TieredPrices(base=Decimal('4.25'), tiers=[Tier(start=1000, price=Decimal('5'))]),
                            output_mtok=Decimal('17'),
                        ),
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 12)),
                    ),
                    PriceVariant(
                        when={'processing': 'batch'},
                        prices=ModelPrice(input_mtok=Decimal('1.1'), output_mtok=Decimal('5.5')),
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 11, 14)),
                    ),
                    PriceVariant(
                        when={'processing': 'batch'},
                        prices=ModelPrice(input_mtok=Decimal('1.25'), output_mtok=Decimal('5')),
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                    ),
                    PriceVariant(when={'service_tier': 'flex', 'speed': 'fast'}, prices=ModelPrice()),
                ],
            ),
            ModelInfo(
                id='gpt-4o-2024-05-13',
                match=ClauseEquals(equals='gpt-4o-2024-05-13'),
                deprecated=True,
                prices=ModelPrice(input_mtok=Decimal('5'), output_mtok=Decimal('15')),
            ),
            ModelInfo(
                id='o3',
                match=ClauseEquals(equals='o3'),
                context_window=None,
                prices=[
                    ConditionalPrice(
                        constraint=None,
                        prices=ModelPrice(
                            input_mtok=TieredPrices(
                                base=Decimal('10'),
                                tiers=[Tier(start=200000, price=Decimal('20')), Tier(start=272000, price=Decimal('30'))],
                            ),
                            cache_write_mtok=TieredPrices(
                                base=Decimal('12.5'), tiers=[Tier(start=272000, price=Decimal('37.5'))]
                            ),
                            output_mtok=Decimal('40'),
                            output_reasoning_mtok=Decimal('41'),
                        ),
                    ),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2025, 6, 10)),
                        prices=ModelPrice(input_mtok=Decimal('2'), output_mtok=Decimal('8')),
                    ),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 1, 5)),
                        prices=ModelPrice(
                            input_mtok=Decimal('2'), output_mtok=Decimal('8'), web_searches_kcount=Decimal('14')
                        ),
                    ),
                ],
            ),
            ModelInfo(
                id='text-embedding-3-small',
                match=ClauseEquals(equals='text-embedding-3-small'),
                prices=ModelPrice(input_mtok=Decimal('0.02')),
            ),
            ModelInfo(id='whisper-1', match=ClauseEquals(equals='whisper-1'), prices=ModelPrice(audio_hours=Decimal('0.36'))),
            ModelInfo(
                id='gpt-audio',
                match=ClauseEquals(equals='gpt-audio'),
                prices=ModelPrice(
                    input_mtok=Decimal('2.5'), output_mtok=Decimal('10'), output_audio_mtok=Decimal('64')
                ),
            ),
            ModelInfo(id='moderation', match=ClauseContains(contains='moderation'), prices=ModelPrice()),
        ],
    ),
    Provider(
        id='openrouter',
        models=[
            ModelInfo(
                id='openai/gpt-4o',
                match=ClauseEquals(equals='openai/gpt-4o'),
                prices=ModelPrice(input_mtok=Decimal('2.5000000000000004'), output_mtok=Decimal('10')),
            ),
        ],
    ),
]
