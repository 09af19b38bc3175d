"""What columns are usually called: by people, and in what HubSpot, Salesforce, Bitrix24 and others export.

Names are folded: small letters without accents, everything else an underscore. Earlier ones go before later ones.
"""

import unicodedata

_PLAIN = str.maketrans({"đ": "d", "ø": "o", "ł": "l", "ı": "i", "ß": "ss"})


def folded(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).translate(_PLAIN)
    words = "".join(letter if letter.isalnum() or letter == "." else " " for letter in plain).split()
    return "_".join(words)


# fmt: off
USER_ID = (
    "user_id", "userid", "lead_id", "customer_id", "customer_no", "customer_number", "external_id", "person_id",
    "kundennummer", "kundennr", "kunden_nr", "kunden_id", "ma_khach_hang", "ma_kh", "id_khach_hang", "cod_client",
    "id_client", "numar_client", "客户编号", "客户id", "会员编号", "用户id", "id",
)
EMAIL = (
    "email", "e_mail", "email_address", "e_mail_address", "work_email", "work_e_mail", "e_mail_work", "email_work",
    "business_email", "primary_email", "person_email", "email_1", "mail", "e_mail_adresse", "emailadresse",
    "mailadresse", "dia_chi_email", "thu_dien_tu", "hop_thu", "adresa_email", "adresa_de_email", "adresa_de_e_mail",
    "correo", "correo_electronico", "courriel", "adresse_e_mail", "adresse_email", "邮箱", "电子邮件", "电子邮箱",
    "邮箱地址", "邮件地址",
)
ANONYMOUS_ID = ("anonymous_id", "anonymousid", "visitor_id", "device_id", "client_id", "cookie_id")
OCCURRED = (
    "occurred_at", "timestamp", "at", "event_time", "event_timestamp", "event_date", "time", "datetime", "date_time",
    "created_at", "create_date", "created_date", "date", "thoi_gian", "thoi_diem", "ngay", "ngay_tao", "zeitpunkt",
    "zeit", "datum", "data_si_ora", "data", "发生时间", "时间", "日期",
)
STATED = (
    "updated_at", "at", "last_modified_date", "last_modified", "lastmodifieddate", "modified", "modified_on",
    "modified_date", "last_updated", "last_update", "date_modified", "ngay_cap_nhat", "cap_nhat_luc", "geandert_am",
    "actualizat_la", "data_modificarii", "更新时间", "修改时间",
)
TYPE = (
    "type", "event_type", "event", "event_name", "activity_type", "action", "loai_su_kien", "su_kien", "loai",
    "ereignis", "typ", "tip_eveniment", "tip", "事件类型", "事件", "类型",
)
MESSAGE_ID = ("message_id", "messageid", "event_id", "insert_id")
COMPANY_ID = (
    "company.id", "company_id", "company.domain", "company_domain", "company_domain_name", "account_id",
    "associated_company_id", "organization_id", "organisation_id", "firmen_id", "ma_cong_ty", "id_companie", "公司编号",
)
#: Ids that another system gave.
VENDORS = {
    "record_id": "hubspot", "record_id_contact": "hubspot", "hs_object_id": "hubspot", "hubspot_id": "hubspot",
    "salesforce_id": "salesforce", "sfdc_id": "salesforce", "intercom_id": "intercom", "bitrix_id": "bitrix24",
    "bitrix24_id": "bitrix24", "pipedrive_id": "pipedrive",
}
#: What scoring models usually call it.
TRAITS = {
    "name": (
        "name", "full_name", "fullname", "contact_name", "lead_name", "person_name", "ho_ten", "ho_va_ten",
        "ten_khach_hang", "nume_complet", "nume_si_prenume", "vollstandiger_name", "姓名",
    ),
    "first_name": ("first_name", "firstname", "given_name", "vorname", "prenume", "名字", "名"),
    "last_name": ("last_name", "lastname", "family_name", "surname", "nachname", "nume_de_familie", "姓"),
    "title": (
        "title", "job_title", "jobtitle", "position", "chuc_danh", "chuc_vu", "stelle", "berufsbezeichnung",
        "functie", "职位", "职务",
    ),
    "phone": (
        "phone", "phone_number", "telephone", "work_phone", "mobile", "mobile_phone", "mobile_phone_number", "telefon",
        "telefonnummer", "handy", "dien_thoai", "so_dien_thoai", "sdt", "numar_de_telefon", "电话", "手机", "手机号",
    ),
    "country": ("country", "country_region", "land", "quoc_gia", "tara", "国家"),
    "city": ("city", "stadt", "ort", "thanh_pho", "oras", "城市"),
}
COMPANY_TRAITS = {
    "name": (
        "company_name", "company", "account_name", "organization", "organisation", "organization_name", "firma",
        "firmenname", "unternehmen", "cong_ty", "ten_cong_ty", "companie", "nume_companie", "公司", "公司名称",
    ),
    "employees": (
        "number_of_employees", "employees", "company_size", "no_of_employees", "mitarbeiter", "mitarbeiterzahl",
        "so_nhan_vien", "numar_de_angajati", "numar_angajati", "员工人数",
    ),
    "industry": ("industry", "branche", "nganh", "nganh_nghe", "industrie", "行业"),
}
# fmt: on
